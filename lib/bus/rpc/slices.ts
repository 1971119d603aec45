/** A queue of work that arrives faster than it is done: one piece in each turn of the event loop. */
export interface Slices<T> {
  /** Does the piece at once if this turn has done none, else later. */
  push(piece: T): void;
  /** Drops all waiting pieces. */
  stop(): void;
}

/** @param work must not throw */
export function openSlices<T>(work: (piece: T) => void): Slices<T> {
  let waiting: T[] = [];
  let at = 0;
  let turn: NodeJS.Immediate | undefined;
  let stopped = false;

  function next(): void {
    turn = undefined;
    const piece = waiting[at];
    if (stopped || piece === undefined) return;
    at += 1;
    if (at === waiting.length) {
      waiting = [];
      at = 0;
    }
    turn = setImmediate(next);
    work(piece);
  }

  return {
    push(piece) {
      if (stopped) return;
      waiting.push(piece);
      if (!turn) next();
    },
    stop() {
      stopped = true;
      waiting = [];
      if (turn) clearImmediate(turn);
    },
  };
}
