import { ZpsendError } from '../../../schemas/errors.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';

/** When that is, in these: a server drops a client that hangs after half a minute (deploy/nats), so the last one finds another. */
const moments = [1, 2, 4];

/**
 * Asks a queue group again while nothing comes: an instance that is stopped, or hangs, keeps its share of the requests. The answer to an earlier request
 * still counts, since a long listing takes its time. For what may be asked twice only.
 * @param ask calls `heard` at the first part
 * @param ms in place of the usual 10 s
 * @returns the first answer. @throws the first refusal; TIMEOUT when none has answered
 */
export function askAgain<T>(
  ask: (heard: () => void) => Promise<T>,
  ms = timing.request.repeatMs,
  clock: Clock = systemClock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let open = 0;
    const cancels: (() => void)[] = [];
    const noMore = (): void => {
      for (const cancel of cancels.splice(0)) cancel();
    };
    const begin = (): void => {
      open += 1;
      ask(noMore).then(
        (answer) => {
          noMore();
          resolve(answer);
        },
        (thrown) => {
          open -= 1;
          const isSilent = thrown instanceof ZpsendError && thrown.code === 'TIMEOUT';
          if (isSilent && open > 0) return;
          noMore();
          reject(thrown);
        },
      );
    };
    for (const moment of moments) cancels.push(clock.after(moment * ms, begin));
    begin();
  });
}
