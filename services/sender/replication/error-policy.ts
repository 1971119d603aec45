import { isPayloadTrouble } from '../../../lib/bus/connection/payload.ts';
import { codes } from '../../../schemas/error-codes.ts';
import { type Code, type ErrorBody, hasReason, type Reasoned } from '../../../schemas/errors.ts';

/**
 * What a chain does about a failure of a step.
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

/** What a chain does about this failure: a limit of the NATS server on messages passes when it is raised. */
export const remedyOf = (error: Reasoned): Remedy => (isPayloadTrouble(error) ? 'wait-replan' : remedies[error.code]);

/**
 * May the listings that a job begins with be had a little later? Nobody there at the very beginning is a wrong name more
 * often than a restart; a lost connection of our own says nothing of names.
 */
export const isPassing = (error: Reasoned): boolean =>
  isPayloadTrouble(error) ||
  (codes[error.code].kind === 'retryable' &&
    (error.code !== 'UNREACHABLE' || hasReason(error, 'UNREACHABLE', 'connection-lost')));

/**
 * The receiver runs as many receives as it may (`receive.maxConcurrent`). That is the answer of a living receiver, and other
 * datasets of the very job may be what keeps it busy for hours: waiting for a turn is no failure, and counts neither as a
 * try nor against patience. BUSY of other kinds, a dataset that is in use say, has no such end in view, and counts.
 */
export const isQueued = (error: ErrorBody): boolean => hasReason(error, 'BUSY', 'queued');

/**
 * The target has seen the beginning of a rollback and not its end, and has taken note of that: with a plan made from here on a
 * job may begin anew, since nothing has been done for it.
 */
export const isUnsettled = (error: ErrorBody): boolean => hasReason(error, 'DIVERGED', 'rollback-unfinished');

/** Who held the lock when we were refused, and a number that grows while that holder lives. */
export interface Holder {
  /** Its transfer's id; where only its lock was seen, the hash of that. */
  readonly transfer: string;
  readonly life: number;
  /** The receiver instance that told; another one counts otherwise. */
  readonly by: string;
}

export function holderIn(error: ErrorBody): Holder | undefined {
  const { transferHash, transfer = transferHash, life, by } = error.details ?? {};
  return error.code === 'LOCKED' && typeof transfer === 'string' && typeof life === 'number'
    ? { transfer, life, by: String(by ?? '') }
    : undefined;
}

/**
 * Is the holder of the lock seen to be alive and somebody else? A dead one's lock expires, and is worth waiting for (I9);
 * a living one's is not. `ours` tells a transfer of this very job, by its id or the hash of it, which is on its way out.
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

const longestBackOff = 3000;

/** How long to wait before try number `n` (from 0), in milliseconds. */
export const backOff = (n: number): number => Math.min(longestBackOff, 250 * 2 ** n);

/**
 * Failures in a row, whatever their step and however much each of them moves: more than fit into the patience, so that whoever
 * stands still is waited for as long as was promised.
 * @param patience in milliseconds
 */
export const mostTries = (patience: number): number => 40 + Math.ceil(patience / longestBackOff);
