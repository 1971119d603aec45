import { setTimeout as sleep } from 'node:timers/promises';

/** The time of one process. All durations are in ms. A test drives its own (`test/support/manual-clock.ts`). */
export interface Clock {
  /** Monotonic: no change of the wall clock moves it. Only differences mean something. */
  now(): number;
  /** Unix time, for what people and other hosts read. */
  date(): number;
  /** @throws AbortError as soon as `signal` is aborted */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs once. Does not keep the process alive. @returns cancels it */
  after(ms: number, run: () => void): () => void;
  /** Runs again and again. Does not keep the process alive. @returns stops it */
  every(ms: number, run: () => void): () => void;
}

/** The longest that a Node timer takes; a longer one would fire at once. */
const longestMs = 2 ** 31 - 1;

const bounded = (ms: number): number => Math.min(longestMs, Math.max(0, ms));

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  sleep: (ms, signal) => sleep(bounded(ms), undefined, { ...(signal && { signal }) }),
  after(ms, run) {
    const timer = setTimeout(run, bounded(ms)).unref();
    return () => clearTimeout(timer);
  },
  every(ms, run) {
    const timer = setInterval(run, bounded(ms)).unref();
    return () => clearInterval(timer);
  },
};
