import { ZpsendError } from '../../../schemas/errors.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';

/** The times of the retries, in units of `ms`. A server drops a hung client after half a minute (deploy/nats), so the last retry reaches another. */
const moments = [1, 2, 4];

/**
 * Repeats a request to a queue group while no reply arrives, since a stopped or hung instance still gets its share of the requests.
 * The reply to an earlier request still counts, since a long listing takes time. Only for idempotent requests.
 * @param ask calls `onReply` at the first part
 * @param ms the unit of the delays, in milliseconds
 * @returns the first answer. @throws the first refusal; TIMEOUT if no instance answers
 */
export function askAgain<T>(
  ask: (onReply: () => void) => Promise<T>,
  ms = timing.request.repeatMs,
  clock: Clock = systemClock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let open = 0;
    const cancels: (() => void)[] = [];
    const stopRetries = (): void => {
      for (const cancel of cancels.splice(0)) cancel();
    };
    const begin = (): void => {
      open += 1;
      ask(stopRetries).then(
        (answer) => {
          stopRetries();
          resolve(answer);
        },
        (thrown) => {
          open -= 1;
          const isSilent = thrown instanceof ZpsendError && thrown.code === 'TIMEOUT';
          if (isSilent && open > 0) return;
          stopRetries();
          reject(thrown);
        },
      );
    };
    for (const moment of moments) cancels.push(clock.after(moment * ms, begin));
    begin();
  });
}
