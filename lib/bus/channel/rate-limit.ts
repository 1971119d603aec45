import { type Clock, systemClock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';

/** How fast bytes may pass: a token bucket that any number of transfers share. */
export interface RateLimit {
  /** Bytes that may pass now; a whole number, and nothing rather than crumbs. */
  room(): number;
  take(bytes: number): void;
  /** Calls back each time there may be more room, those who wait longest first. The function returned ends it. */
  onRoom(wake: () => void): () => void;
}

/** Fewer bytes are not worth a separate message; nor are fewer than a quarter of the bucket, where that is smaller. */
const leastBytes = 16 * 1024;

/** @param rate bytes per second */
export function openRateLimit(rate: number, clock: Clock = systemClock): RateLimit {
  const depth = Math.max(1, (rate * timing.rateLimit.depthMs) / 1000);
  const least = Math.min(leastBytes, depth / 4);
  const waiting = new Set<() => void>();
  let tokens = depth;
  let filled = clock.now();
  let isTicking = false;

  function room(): number {
    const time = clock.now();
    tokens = Math.min(depth, tokens + ((time - filled) * rate) / 1000);
    filled = time;
    return tokens < least ? 0 : Math.floor(tokens);
  }

  function wakeAll(): void {
    isTicking = false;
    for (const wake of [...waiting]) {
      if (room() === 0) break;
      // each one that was woken goes behind the others
      if (waiting.delete(wake)) waiting.add(wake);
      wake();
    }
    tick();
  }

  function tick(): void {
    if (waiting.size === 0 || isTicking) return;
    isTicking = true;
    clock.after(timing.rateLimit.tickMs, wakeAll);
  }

  return {
    room,
    take(bytes) {
      tokens -= bytes;
    },
    onRoom(wake) {
      waiting.add(wake);
      tick();
      return () => void waiting.delete(wake);
    },
  };
}
