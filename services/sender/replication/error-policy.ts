import { isPayloadTrouble } from '../../../lib/bus/connection/payload.ts';
import { timing } from '../../../lib/time/timing.ts';
import { codes } from '../../../schemas/error-codes.ts';
import { type Code, type ErrorBody, hasReason, type Reasoned } from '../../../schemas/errors.ts';

/**
 * The action of a chain after a failure of a step.
 * - `fail`: ends the chain
 * - `replan`: something is not as it was listed: list both sides again
 * - `wait`: ask again for the same step a little later
 * - `wait-replan`: the transfer broke: wait, list again, and let the resume token continue it
 * - `discard`: the partial state on the target is of no use: replan, and drop it
 */
export type Remedy = 'fail' | 'replan' | 'wait' | 'wait-replan' | 'discard';

export const remedies: Record<Code, Remedy> = {
  BAD_REQUEST: 'fail',
  NOT_ALLOWED: 'fail',
  NO_SUCH_DATASET: 'replan',
  NO_SUCH_SNAPSHOT: 'replan',
  NO_SUCH_JOB: 'fail',
  NO_SUCH_TRANSFER: 'replan',
  BASE_MISSING: 'replan',
  ORIGIN_MISSING: 'replan',
  EXISTS: 'replan',
  DIVERGED: 'replan',
  MODIFIED: 'fail',
  OTHER_MACHINE: 'fail',
  LOCKED: 'wait',
  BUSY: 'wait',
  NO_SPACE: 'fail',
  TOO_MUCH: 'fail',
  READ_ONLY: 'fail',
  STREAM_BROKEN: 'wait-replan',
  RESUME_STALE: 'discard',
  KEY_REQUIRED: 'fail',
  KEY_MISMATCH: 'replan',
  UNSUPPORTED: 'fail',
  UNREACHABLE: 'wait',
  TIMEOUT: 'wait-replan',
  ABORTED: 'fail',
  INTERNAL: 'fail',
};

/** The action of a chain after this failure: a message limit of the NATS server passes when it is raised. */
export const remedyOf = (error: Reasoned): Remedy => (isPayloadTrouble(error) ? 'wait-replan' : remedies[error.code]);

/**
 * May a job's first listings succeed a little later? At the start, no reply is more often a wrong name than a restart;
 * a lost connection of our own is no evidence of a wrong name.
 */
export const isPassing = (error: Reasoned): boolean =>
  isPayloadTrouble(error) ||
  (codes[error.code].kind === 'retryable' &&
    (error.code !== 'UNREACHABLE' || hasReason(error, 'UNREACHABLE', 'connection-lost')));

/**
 * The receiver runs as many receives as it may (`receive.maxConcurrent`), possibly other datasets of the same job, for hours.
 * Waiting for a turn is no failure, and counts neither as a try nor against patience. BUSY for another reason, for example a
 * dataset in use, counts.
 */
export const isQueued = (error: ErrorBody): boolean => hasReason(error, 'BUSY', 'queued');

/**
 * The target has recorded an unfinished rollback. A job may start again with a new plan, since nothing has been done for it yet.
 */
export const isUnsettled = (error: ErrorBody): boolean => hasReason(error, 'DIVERGED', 'rollback-unfinished');

/** The holder of a lock that was refused to us, and a number that grows while the holder is alive. */
export interface Holder {
  /** Its transfer's id, or the hash of that if only the lock is known. */
  readonly transfer: string;
  readonly life: number;
  /** The receiver instance that reported it: numbers of two instances are not comparable. */
  readonly by: string;
}

export function holderIn(error: ErrorBody): Holder | undefined {
  const { transferHash, transfer = transferHash, life, by } = error.details ?? {};
  return error.code === 'LOCKED' && typeof transfer === 'string' && typeof life === 'number'
    ? { transfer, life, by: String(by ?? '') }
    : undefined;
}

/**
 * Is the holder of the lock alive, and of another job? A dead holder's lock expires, so waiting helps (I9); otherwise it does not.
 * @param ours is it a transfer of this job, by its id or its hash? Such a transfer is ending
 */
export const isRival = (
  before: Holder | undefined,
  now: Holder | undefined,
  ours: (transfer: string) => boolean,
): boolean =>
  before !== undefined &&
  now !== undefined &&
  before.transfer === now.transfer &&
  before.by === now.by &&
  now.life > before.life &&
  !ours(now.transfer);

/** How long to wait before try number `n` (from 0), in ms. */
export const backOff = (n: number): number => Math.min(timing.job.longestRetryMs, timing.job.firstRetryMs * 2 ** n);

/**
 * The most consecutive failures, of any step and with any progress: more than fit into the patience, so that a target without
 * progress is awaited for all of it.
 * @param patience in ms
 */
export const mostTries = (patience: number): number => 40 + Math.ceil(patience / timing.job.longestRetryMs);
