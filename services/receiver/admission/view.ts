import type { InspectedName } from '../../../lib/zfs/zfs.ts';

/** What `zfs list` shows of the names that matter to one receive; what does not exist is absent. */
export interface View extends Pick<InspectedName, 'name' | 'type' | 'guid' | 'keystatus' | 'resumeToken'> {
  /** What the chain of a dataset began with, its own or inherited; only where partial state may be dropped. */
  readonly stream?: string;
}
