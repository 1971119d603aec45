import { settlesWithinMs } from './lease-state.ts';

/**
 * How far a server's clock was set forward lately. What was written before that looks older than it is, and a lock that is held may expire early;
 * by our own monotonic clock its holder may still act.
 */
export interface ServerClock {
  /** @param now the server's clock; @param sent, received our monotonic clock around the answer with it; all in milliseconds */
  note(now: number | undefined, sent: number, received: number): void;
  /** At most so much, in milliseconds, between the last note and one that is so old that no holder of before acts any more. */
  readonly setForward: number;
}

/** Between these two the server's clock is ahead of ours, in milliseconds. */
interface Sample {
  readonly at: number;
  readonly least: number;
  readonly most: number;
}

export function openServerClock(): ServerClock {
  let samples: Sample[] = [];
  return {
    note(now, sent, received) {
      if (now === undefined) return;
      samples.push({ at: received, least: now - received, most: now - sent });
      // the newest of those that are old enough stays
      const old = samples.findLastIndex(({ at }) => at <= received - settlesWithinMs);
      samples = samples.slice(Math.max(0, old));
    },
    get setForward() {
      const last = samples.at(-1);
      if (!last) return 0;
      return Math.max(0, last.most - Math.min(last.most, ...samples.slice(0, -1).map(({ least }) => least)));
    },
  };
}
