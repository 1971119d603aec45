import type { InspectedName } from '../../../lib/zfs/zfs.ts';

/** The facts of one name in `zfs list` that a receive needs. */
export interface View extends Pick<InspectedName, 'name' | 'type' | 'guid' | 'keystatus' | 'resumeToken'> {
  /** The initial flags of the dataset's chain, its own or inherited; read only where partial state may be dropped. */
  readonly stream?: string;
}
