import { ZpsendError } from '../../../../schemas/errors.ts';
import { timing } from '../../../time/timing.ts';

/** The work, or a failure when it takes longer than anything that answers would. */
export async function withTimeout<T>(work: Promise<T>, what: string, ms = timing.store.answerMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ZpsendError('TIMEOUT', `${what}: no answer from JetStream within ${ms / 1000} s`)),
      ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
