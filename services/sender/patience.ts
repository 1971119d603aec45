import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorBody, ZpsendError } from '../../schemas/errors.ts';
import { backOff, isPassing, mostTries } from './failure.ts';

export interface Patience {
  /** How long failures are borne from the first one on, in milliseconds. */
  readonly ms: number;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Told what it waits for, until when (monotonic milliseconds), and undefined once the work is done. */
  readonly waits: (error: ErrorBody | undefined, until?: number) => void;
}

/**
 * Tries again what a job begins with, as long as waiting may help.
 * @throws ZpsendError the failure that waiting does not help, or the signal's reason
 */
export async function patiently<T>(work: () => Promise<T>, { ms, signal, waits }: Patience): Promise<T> {
  const aborted = abortOf(signal);
  let since: number | undefined;
  for (let tries = 0; ; tries += 1) {
    try {
      const done = await Promise.race([work(), aborted]);
      if (tries > 0) waits(undefined);
      return done;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = ZpsendError.from(thrown);
      since ??= performance.now();
      if (!isPassing(error.toBody()) || tries >= mostTries(ms) || performance.now() - since > ms) throw error;
      waits(error.toBody(), since + ms);
    }
    await Promise.race([sleep(backOff(tries), undefined, { ref: false }), aborted]);
  }
}

/** Rejects when the signal is aborted; handled also where nobody waits for it any more. */
function abortOf(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  aborted.catch(() => {});
  return aborted;
}
