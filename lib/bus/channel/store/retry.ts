import { hasReason, ZpsendError } from '../../../../schemas/errors.ts';
import { type Clock, systemClock } from '../../../time/clock.ts';
import { timing } from '../../../time/timing.ts';

export interface StoreRetryOptions {
  /** How long to retry after the first failure, in milliseconds. */
  readonly ms: number;
  readonly signal: AbortSignal;
  /** Called with true when the bucket is full, and with false when it has space again or the retries end. */
  readonly onFull?: ((isFull: boolean) => void) | undefined;
  readonly clock?: Clock;
}

const isFull = (error: ZpsendError): boolean => hasReason(error, 'NO_SPACE', 'store-full');

/** A full bucket gets space again, and a cluster elects a new leader; a deleted bucket does not come back. */
const mayPass = (error: ZpsendError): boolean =>
  isFull(error) || (['UNREACHABLE', 'TIMEOUT'].includes(error.code) && error.reason !== 'no-bucket');

/**
 * Retries work that fails because the store is full or does not answer.
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
