import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { Evidence, Note, Step } from '../../../schemas/plan.ts';
import type { Channel, CompressionMode } from '../../../schemas/transfer.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { StoreDeliveryDeps } from '../delivery/store-delivery.ts';
import type { Planned } from '../planning/plan-job.ts';
import type { ChainDeps } from '../replication/chain.ts';
import type { RunningChains } from '../replication/run-chains.ts';
import type { JobLog } from '../reporting/job-log.ts';
import type { ReplicationStatus } from '../reporting/job-status.ts';
import type { Progress } from '../reporting/progress.ts';
import type { JobCompression } from '../transfer/compression.ts';
import type { Failure } from './result.ts';
import type { Waits } from './waits.ts';

/** The settings with which a job begins. It ends with them too, even if this host's settings change meanwhile. */
export type JobSettings = Pick<
  JobDeps,
  'allow' | 'silenceMs' | 'patienceMs' | 'bookmarks' | 'parallel' | 'compressionMode' | 'channel'
>;

export const jobSettingsOf = ({ config: { send, timing } }: Settings): JobSettings => ({
  allow: send.allow,
  silenceMs: timing.silenceSeconds * 1000,
  patienceMs: timing.patienceSeconds * 1000,
  bookmarks: send.bookmarks,
  parallel: send.parallel,
  compressionMode: send.compression,
  channel: send.channel,
});

export interface JobDeps extends Omit<ChainDeps, 'ask'>, StoreDeliveryDeps {
  readonly instance: string;
  /** Datasets of a package at once, unless the request has its own value. */
  readonly parallel: number;
  /** The compression of streams, unless the request has its own value. */
  readonly compressionMode: CompressionMode;
  /** The channel of streams, unless the request names one. */
  readonly channel: Channel;
  /** The jobs that run on any instance of this host: holds of others may be released. Undefined if that is unknown. */
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** A policy's job that finds nothing to do logs nothing, and the policy logs its failures. */
  readonly startedBy?: Job['startedBy'];
  /** The job that it takes over, whose sender has died. */
  readonly takesOver?: string | undefined;
}

/** How a job ends: without an error, it is done. */
export interface Outcome {
  readonly error?: ErrorBody;
  readonly evidence?: Evidence | undefined;
}

/** The state of one running job. */
export interface JobRun {
  readonly id: string;
  readonly context: JobContext;
  readonly deps: JobDeps;
  /** Aborted when the job is. */
  readonly signal: AbortSignal;
  /** Since when its plan waits for its turn (monotonic ms); undefined as long as it has not waited. */
  readonly waitingSince: () => number | undefined;
  /** Monotonic ms. */
  readonly began: number;
  readonly started: Date;
  readonly jobLog: JobLog;
  readonly compression: JobCompression;
  readonly status: ReplicationStatus;
  delivery: Delivery | undefined;
  progress: Progress;
  chains: RunningChains | undefined;
  /** Why the planning waits. */
  waiting: Waits | undefined;
  aborted: ErrorBody | undefined;
  firstFailure: Failure | undefined;
  notes: readonly Note[];
  /** The latest plan. */
  latestPlan: Planned | undefined;
  /** The steps that have arrived. */
  readonly arrived: Step[];
}
