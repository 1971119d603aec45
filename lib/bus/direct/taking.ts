/** What a receiver has to take, so that its words keep a transfer alive. */
export interface TakingRules {
  /** How long it may take less than `leastRate`, in milliseconds. */
  readonly patienceMs: number;
  /** Bytes per second, far below any limit that a receiver may have. */
  readonly leastRate: number;
}

/** A receiver's account at one moment. */
export interface Taking {
  /** Bytes that it has granted or taken, since the stream's beginning. */
  readonly granted: number;
  /** Bytes wait for it: it has granted no more than was sent. */
  readonly waits: boolean;
  /** All of the stream was sent, and only its final word is still to come: `zfs receive` may be long at its end. */
  readonly ended: boolean;
}

/** Judges whether a receiver takes what waits for it. Deterministic: times are milliseconds of its caller's clock. */
export interface TakingWatch {
  /** @returns whether it took too little for too long */
  look(taking: Taking, now: number): boolean;
}

/** After the end the receiver has so many times the patience. */
const endFactor = 10;
/** Between two looks that lie further apart this process was stopped, and could not see what was granted, in milliseconds. */
const longestGap = 5000;

export function openTakingWatch({ patienceMs, leastRate }: TakingRules): TakingWatch {
  const least = Math.ceil((patienceMs / 1000) * leastRate);
  let since: number | undefined;
  let before = 0;
  let last: number | undefined;
  return {
    look({ granted, waits, ended }, now) {
      if (since !== undefined && last !== undefined && now - last > longestGap) since += now - last;
      last = now;
      if (since === undefined || !(waits || ended) || granted - before >= least) {
        since = now;
        before = granted;
      }
      return now - since >= (ended ? endFactor : 1) * patienceMs;
    },
  };
}
