import { type Clock, systemClock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';

/** How fast bytes may pass: a token bucket that any number of transfers share. */
export interface RateLimit {
  /** Bytes that may pass now; a whole number, and nothing rather than crumbs. Infinite without a limit. */
  room(): number;
  take(bytes: number): void;
  /** Calls back each time there may be more room, those who wait longest first. The function returned ends it. */
  onRoom(wake: () => void): () => void;
}

/** A rate limit that may change, also for those who wait. */
export interface AdjustableRateLimit extends RateLimit {
  /** @param rate bytes per second; undefined for no limit */
  setRate(rate: number | undefined): void;
}

/** Fewer bytes are not worth a separate message; nor are fewer than a quarter of the bucket, where that is smaller. */
const leastBytes = 16 * 1024;

/** The depth of the bucket of a rate, in bytes. */
const depthOf = (rate: number): number => Math.max(1, (rate * timing.rateLimit.depthMs) / 1000);

/** @param first bytes per second; undefined for no limit */
export function openRateLimit(first: number | undefined, clock: Clock = systemClock): AdjustableRateLimit {
  const waiting = new Set<() => void>();
  let rate = first;
  let tokens = rate === undefined ? 0 : depthOf(rate);
  let filled = clock.now();
  let cancelTick: (() => void) | undefined;

  function room(): number {
    const time = clock.now();
    const elapsed = time - filled;
    filled = time;
    if (rate === undefined) return Number.POSITIVE_INFINITY;
    const depth = depthOf(rate);
    tokens = Math.min(depth, tokens + (elapsed * rate) / 1000);
    return tokens < Math.min(leastBytes, depth / 4) ? 0 : Math.floor(tokens);
  }

  function wakeAll(): void {
    cancelTick?.();
    cancelTick = undefined;
    for (const wake of [...waiting]) {
      if (room() === 0) break;
      // each one that was woken goes behind the others
      if (waiting.delete(wake)) waiting.add(wake);
      wake();
    }
    tick();
  }

  function tick(): void {
    if (rate === undefined || waiting.size === 0 || cancelTick) return;
    cancelTick = clock.after(timing.rateLimit.tickMs, wakeAll);
  }

  return {
    room,
    take(bytes) {
      if (rate !== undefined) tokens -= bytes;
    },
    onRoom(wake) {
      waiting.add(wake);
      tick();
      return () => void waiting.delete(wake);
    },
    setRate(next) {
      if (next === rate) return;
      // the time until now counts at the old rate
      room();
      if (rate === undefined) tokens = 0;
      rate = next;
      wakeAll();
    },
  };
}
