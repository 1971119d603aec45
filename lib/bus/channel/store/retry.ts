import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason, ZpsendError } from '../../../../schemas/errors.ts';
import { timing } from '../../../time/timing.ts';

export interface StoreRetryOptions {
  /** How long failures are borne from the first one on, in milliseconds. */
  readonly ms: number;
  readonly signal: AbortSignal;
  /** Told that the bucket is full, and when that is over. */
  readonly onFull?: ((isFull: boolean) => void) | undefined;
}

const isFull = (error: ZpsendError): boolean => hasReason(error, 'NO_SPACE', 'store-full');

/** A lost bucket does not come back by waiting; a full one is emptied, and a server that is away elects another. */
const mayPass = (error: ZpsendError): boolean =>
  isFull(error) || (['UNREACHABLE', 'TIMEOUT'].includes(error.code) && error.reason !== 'no-bucket');

/**
 * Tries again what the store refuses or does not answer, as long as that may pass.
 * @throws ZpsendError the last failure; ABORTED when the signal says so
 */
export async function withRetry<T>(work: () => Promise<T>, { ms, signal, onFull }: StoreRetryOptions): Promise<T> {
  let since: number | undefined;
  let full = false;
  const tell = (now: boolean): void => {
    if (now !== full) onFull?.(now);
    full = now;
  };
  try {
    for (;;) {
      if (signal.aborted) throw new ZpsendError('ABORTED', 'the transfer through the store was ended');
      try {
        return await work();
      } catch (thrown) {
        const error = ZpsendError.from(thrown);
        since ??= performance.now();
        if (!mayPass(error) || performance.now() - since > ms) throw error;
        tell(isFull(error));
      }
      await sleep(timing.store.retryMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    tell(false);
  }
}
