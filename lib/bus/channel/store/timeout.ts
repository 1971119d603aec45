import { ZpsendError } from '../../../../schemas/errors.ts';
import { systemClock } from '../../../time/clock.ts';
import { timing } from '../../../time/timing.ts';

/** @throws ZpsendError TIMEOUT when the work takes longer than `ms` */
export async function withTimeout<T>(work: Promise<T>, what: string, ms = timing.store.answerMs): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = systemClock.after(ms, () =>
    reject(new ZpsendError('TIMEOUT', `${what}: no answer from JetStream within ${ms / 1000} s`)),
  );
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancel();
  }
}
