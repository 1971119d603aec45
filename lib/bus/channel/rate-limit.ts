import { timing } from '../../time/timing.ts';
/** How fast bytes may pass: a token bucket that any number of transfers share. */
export interface RateLimit {
  /** Bytes that may pass now; a whole number, and nothing rather than crumbs. */
  room(): number;
  take(bytes: number): void;
  /** Tells every time there may be more room, those who wait longest first. The function returned ends it. */
  onRoom(wake: () => void): () => void;
}

/** Less than this is not worth a message of its own, in bytes; nor is less than a quarter of the bucket, where that is smaller. */
const leastBytes = 16 * 1024;

/** @param rate bytes per second; @param now a monotonic clock, in milliseconds */
export function openRateLimit(rate: number, now: () => number = () => performance.now()): RateLimit {
  const depth = Math.max(1, (rate * timing.rateLimit.depthMs) / 1000);
  const least = Math.min(leastBytes, depth / 4);
  const waiting = new Set<() => void>();
  let tokens = depth;
  let filled = now();
  let timer: NodeJS.Timeout | undefined;

  function room(): number {
    const time = now();
    tokens = Math.min(depth, tokens + ((time - filled) * rate) / 1000);
    filled = time;
    return tokens < least ? 0 : Math.floor(tokens);
  }

  function tell(): void {
    timer = undefined;
    for (const wake of [...waiting]) {
      if (room() === 0) break;
      // whoever was told goes behind the others
      if (waiting.delete(wake)) waiting.add(wake);
      wake();
    }
    tick();
  }

  function tick(): void {
    if (waiting.size === 0 || timer) return;
    timer = setTimeout(tell, timing.rateLimit.tickMs);
    timer.unref();
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
