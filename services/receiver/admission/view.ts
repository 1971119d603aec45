import type { InspectedName } from '../../../lib/zfs/zfs.ts';

/** What `zfs list` shows of one name that matters to a receive. */
export interface View extends Pick<InspectedName, 'name' | 'type' | 'guid' | 'keystatus' | 'resumeToken'> {
  /** The initial flags of the dataset's chain, its own or inherited; read only where partial state may be dropped. */
  readonly stream?: string;
}
