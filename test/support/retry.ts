import { setTimeout as sleep } from 'node:timers/promises';
import { ZpsendError } from '../../schemas/errors.ts';

/** A restarted service or server answers late: tries for half a minute. */
export async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 60 || !(error instanceof ZpsendError && error.retryable)) throw error;
      await sleep(500);
    }
  }
}
