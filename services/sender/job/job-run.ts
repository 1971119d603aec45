import type { Clock } from '../../../lib/time/clock.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { Evidence, Note, SendRequest, Step } from '../../../schemas/plan.ts';
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

export interface JobDeps extends Omit<ChainDeps, 'ask'>, StoreDeliveryDeps {
  readonly instance: string;
  readonly clock: Clock;
  /** Datasets of a package at once, where the request does not say. */
  readonly parallel: number;
  /** How streams go over the wire, where the request does not say. */
  readonly compressionMode: CompressionMode;
  /** By which channel streams go, where the request does not say. */
  readonly channel: Channel;
  /** Which jobs run anywhere on this host: what a dead one left held may be released. Undefined where that is not clear. */
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** Of a policy's job that finds nothing to do there is nothing to tell, and the policy tells of failures. */
  readonly startedBy?: Job['startedBy'];
  /** The job that it goes on with, whose sender has died. */
  readonly takesOver?: string | undefined;
}

/** How a job ends; without an error, well. */
export interface Outcome {
  readonly error?: ErrorBody;
  readonly evidence?: Evidence | undefined;
}

/** One job while it runs: what it was given, and how far it is. */
export interface JobRun {
  readonly id: string;
  readonly request: SendRequest;
  readonly deps: JobDeps;
  /** Aborted when the job is. */
  readonly signal: AbortSignal;
  /** Since when its plan waits for its turn (monotonic milliseconds); undefined as long as it has not waited. */
  readonly since: () => number | undefined;
  /** Monotonic milliseconds. */
  readonly began: number;
  readonly started: Date;
  readonly say: JobLog;
  readonly compression: JobCompression;
  readonly board: ReplicationStatus;
  delivery: Delivery | undefined;
  progress: Progress;
  chains: RunningChains | undefined;
  /** What the planning waits for. */
  waiting: Waits | undefined;
  aborted: ErrorBody | undefined;
  first: Failure | undefined;
  notes: readonly Note[];
  /** The plan that was made last. */
  seen: Planned | undefined;
  /** The steps that have arrived. */
  readonly arrived: Step[];
}
