import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { backOff, isPassing, mostTries } from '../replication/error-policy.ts';

export interface Patience {
  /** How long failures are borne, from `since` or else the first one on, in milliseconds. */
  readonly ms: number;
  /** Since when the work waits for its turn (monotonic milliseconds); undefined as long as it has not waited. */
  readonly since?: () => number | undefined;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Told what it waits for, until when (monotonic milliseconds), and undefined once the work is done. */
  readonly waits: (error: ErrorBody | undefined, until?: number) => void;
}

/**
 * Tries again what a job begins with, as long as waiting may help.
 * @throws ZpsendError the failure that waiting does not help, or the signal's reason
 */
export async function patiently<T>(
  work: () => Promise<T>,
  { ms, signal, waits, since: waitsSince }: Patience,
): Promise<T> {
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
      since ??= waitsSince?.() ?? performance.now();
      if (!isPassing(error.toBody()) || tries >= mostTries(ms) || performance.now() - since > ms) throw error;
      waits(error.toBody(), since + ms);
    }
    await Promise.race([pause(backOff(tries)), aborted]);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref());

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
