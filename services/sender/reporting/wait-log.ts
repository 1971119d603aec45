import { type Clock, systemClock } from '../../../lib/time/clock.ts';
import type { Code, ErrorBody } from '../../../schemas/errors.ts';
import type { Log } from '../../host/log.ts';
import { wallClock } from './wall-clock.ts';

/** Logs the reasons of a wait: each code once, until the wait is over. */
export interface WaitLog {
  /** @param until monotonic milliseconds; absent where the wait has no end */
  waits(error: ErrorBody, until: number | undefined): void;
  over(): void;
}

/** @param log with the fields of the job or dataset that waits */
export function openWaitLog(log: Log, clock: Pick<Clock, 'now' | 'date'> = systemClock): WaitLog {
  const known = new Set<Code>();
  let since = 0;
  return {
    waits({ code, message }, until) {
      if (known.size === 0) since = clock.now();
      const how = until === undefined ? 'waiting without a limit' : `trying until ${wallClock(until, clock)}`;
      const line = `${code}: ${message}; ${how}`;
      if (known.has(code)) log.debug('job.waiting', line, { code });
      else log.warn('job.waiting', line, { code });
      known.add(code);
    },
    over() {
      if (known.size === 0) return;
      log.info('job.continued', `continuing after ${Math.round((clock.now() - since) / 1000)} s`);
      known.clear();
    },
  };
}
