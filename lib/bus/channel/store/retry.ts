import { hasReason, ZpsendError } from '../../../../schemas/errors.ts';
import { type Clock, systemClock } from '../../../time/clock.ts';
import { timing } from '../../../time/timing.ts';

export interface StoreRetryOptions {
  /** How long failures are retried from the first one on, in milliseconds. */
  readonly ms: number;
  readonly signal: AbortSignal;
  /** Called when the bucket is found full, and when that is over. */
  readonly onFull?: ((isFull: boolean) => void) | undefined;
  readonly clock?: Clock;
}

const isFull = (error: ZpsendError): boolean => hasReason(error, 'NO_SPACE', 'store-full');

/** A lost bucket does not come back by itself; a full one is emptied, and a server that is down elects another. */
const mayPass = (error: ZpsendError): boolean =>
  isFull(error) || (['UNREACHABLE', 'TIMEOUT'].includes(error.code) && error.reason !== 'no-bucket');

/**
 * Retries what the store refuses or does not answer, as long as that may pass.
 * @throws ZpsendError the last failure; ABORTED when the signal is aborted
 */
export async function withRetry<T>(
  work: () => Promise<T>,
  { ms, signal, onFull, clock = systemClock }: StoreRetryOptions,
): Promise<T> {
  let since: number | undefined;
  let wasFull = false;
  const report = (now: boolean): void => {
    if (now !== wasFull) onFull?.(now);
    wasFull = now;
  };
  try {
    for (;;) {
      if (signal.aborted) throw new ZpsendError('ABORTED', 'the transfer through the store was ended');
      try {
        return await work();
      } catch (thrown) {
        const error = ZpsendError.from(thrown);
        since ??= clock.now();
        if (!mayPass(error) || clock.now() - since > ms) throw error;
        report(isFull(error));
      }
      await clock.sleep(timing.store.retryMs, signal).catch(() => {});
    }
  } finally {
    report(false);
  }
}
