import type { Clock } from '../../lib/time/clock.ts';

export interface ManualClock extends Clock {
  /** Moves the time on by `ms`. What falls due runs in its order, each at its own time. */
  advance(ms: number): Promise<void>;
  /** How many sleeps and timers are pending. */
  readonly pending: number;
}

interface Timer {
  at: number;
  readonly everyMs: number | undefined;
  run(): void;
}

/** Lets promises settle that what has just run has resolved. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A clock that only `advance` moves. It begins at 0; its date begins at 2026-01-01. */
export function manualClock(): ManualClock {
  const timers = new Set<Timer>();
  let now = 0;
  const add = (ms: number, everyMs: number | undefined, run: () => void): (() => void) => {
    const timer: Timer = { at: now + Math.max(0, ms), everyMs, run };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  const earliest = (until: number): Timer | undefined =>
    [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
  return {
    now: () => now,
    date: () => Date.UTC(2026, 0, 1) + now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const cancel = add(ms, undefined, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        const onAbort = () => {
          cancel();
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
    after: (ms, run) => add(ms, undefined, run),
    every: (ms, run) => add(ms, ms, run),
    get pending() {
      return timers.size;
    },
    async advance(ms) {
      const until = now + ms;
      await settle();
      for (let timer = earliest(until); timer; timer = earliest(until)) {
        now = Math.max(now, timer.at);
        if (timer.everyMs === undefined) timers.delete(timer);
        else timer.at += Math.max(1, timer.everyMs);
        timer.run();
        await settle();
      }
      now = until;
    },
  };
}
