/** What a receiver has to take, so that its control messages keep a transfer alive. */
export interface ProgressRules {
  /** How long it may take less than `leastRate`, in milliseconds. */
  readonly patienceMs: number;
  /** Bytes per second, far below any limit that a receiver may have. */
  readonly leastRate: number;
}

/** A receiver's account at one moment. */
export interface ReceiverProgress {
  /** Bytes that it has granted or taken, since the stream's beginning. */
  readonly granted: number;
  /** Bytes that it has taken, since the stream's beginning; none while it prepares its target. */
  readonly taken: number;
  /** Bytes wait for it: it has granted no more than was sent. */
  readonly waits: boolean;
  /** All of the stream was sent, and only its final message is still to come: `zfs receive` may be long at its end. */
  readonly ended: boolean;
}

/** Judges whether a receiver takes what waits for it. Deterministic: times are milliseconds of its caller's clock. */
export interface ProgressWatch {
  /** @returns for how many milliseconds it was waited for, once it has taken too little for too long */
  look(taking: ReceiverProgress, now: number): number | undefined;
}

/** While ZFS may work on the target alone, before the first byte is taken and after the end, a receiver has so many times the patience. */
const aloneFactor = 10;
/** Between two checks that are further apart, in ms, this process was stopped, and could not see what was granted. */
const longestGap = 5000;

export function openProgressWatch({ patienceMs, leastRate }: ProgressRules): ProgressWatch {
  const least = Math.ceil((patienceMs / 1000) * leastRate);
  let since: number | undefined;
  let before = 0;
  let hasTaken = false;
  let last: number | undefined;
  return {
    look({ granted, taken, waits, ended }, now) {
      if (since !== undefined && last !== undefined && now - last > longestGap) since += now - last;
      last = now;
      const begins = taken > 0 && !hasTaken;
      if (begins) hasTaken = true;
      const factor = ended || !hasTaken ? aloneFactor : 1;
      // as much in each second of it, else grants could be spread over the longer time
      const enough = ended ? least : factor * least;
      if (since === undefined || begins || !(waits || ended) || granted - before >= enough) {
        since = now;
        before = granted;
      }
      const limit = factor * patienceMs;
      return now - since >= limit ? limit : undefined;
    },
  };
}
