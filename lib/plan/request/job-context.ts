import type { SendRequest } from '../../../schemas/request.ts';

/** What a request comes to for one target. Only the jobs of a takeover have one that may be invalid, and they fail. */
export interface JobContext {
  readonly sourceHost: string;
  readonly targetHost: string;
  /** The dataset that is sent; of a package, its root. */
  readonly sourceDataset: string;
  /** The dataset that receives it. */
  readonly targetDataset: string;
  readonly isRecursive: boolean;
  /** The name of the snapshot that is asked for, without its dataset. */
  readonly snapshot: string | undefined;
  /** The request itself, for its options. */
  readonly request: SendRequest;
}
