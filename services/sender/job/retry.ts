import type { Clock } from '../../../lib/time/clock.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { backOff, isPassing, mostTries } from '../replication/error-policy.ts';

export interface RetryOptions {
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  /** How long it is tried again after failures, in ms, from `since` or else from the first failure. */
  readonly patienceMs: number;
  /** Since when the work waits for its turn (monotonic ms); undefined as long as it has not waited. */
  readonly since?: () => number | undefined;
  /** Ends the work and the waiting. */
  readonly signal: AbortSignal;
  /** Gets the error that it waits for and until when (monotonic ms), and undefined once the work is done. */
  readonly onWait: (error: ErrorBody | undefined, until?: number) => void;
}

/**
 * Tries work again as long as its failures may pass.
 * @throws ZpsendError the failure that cannot pass, or the signal's reason
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, patienceMs, signal, onWait } = options;
  const aborted = abortOf(signal);
  let since: number | undefined;
  for (let tries = 0; ; tries += 1) {
    try {
      const done = await Promise.race([work(), aborted]);
      if (tries > 0) onWait(undefined);
      return done;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = ZpsendError.from(thrown);
      since ??= options.since?.() ?? clock.now();
      const isOver = tries >= mostTries(patienceMs) || clock.now() - since > patienceMs;
      if (isOver || !isPassing(error.toBody())) throw error;
      onWait(error.toBody(), since + patienceMs);
    }
    await clock.sleep(backOff(tries), signal).catch(() => signal.throwIfAborted());
  }
}

/** Rejects when the signal is aborted; handled also when nothing awaits it. */
function abortOf(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  aborted.catch(() => {});
  return aborted;
}
