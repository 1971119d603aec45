/**
 * What a sender does about one dataset and one target of a policy. A hint says that there may be something to send; a run finds
 * out. Times are milliseconds of one clock.
 */
export type Lane =
  /** Nothing is known to be missing; at `due` it is looked whether that is so. */
  | { readonly phase: 'resting'; readonly due: number }
  /** There was a hint, the first of them at `since`, and more may come at once. */
  | { readonly phase: 'settling'; readonly since: number; readonly due: number; readonly tries: number }
  /** Our job runs; `dirty`: what it has listed may be too old. */
  | { readonly phase: 'running'; readonly dirty: boolean; readonly tries: number }
  /** A job that we did not start does the same; without news of it by `due` it is dead. */
  | { readonly phase: 'elsewhere'; readonly dirty: boolean; readonly due: number }
  /** It failed in a way that may pass, `tries` times. */
  | { readonly phase: 'waiting'; readonly due: number; readonly tries: number };

/** `refused`: trying again cannot help before something changes. */
export type Outcome = 'done' | 'passing' | 'refused';

export type LaneEvent =
  | { readonly type: 'hint'; readonly now: number }
  /** The time is `now`, and may be what the lane waits for. */
  | { readonly type: 'wake'; readonly now: number }
  | { readonly type: 'ended'; readonly now: number; readonly outcome: Outcome }
  | { readonly type: 'other-runs'; readonly now: number }
  | { readonly type: 'other-over'; readonly now: number };

export interface LaneTimes {
  /** Without a further hint for so long, it begins. */
  readonly quiet: number;
  /** Since the first hint; later than that it begins whatever comes. */
  readonly mostQuiet: number;
  /** From one run to the next without a hint. */
  readonly reconcile: number;
  /** Somebody else's job that was not heard of for so long is dead. */
  readonly silence: number;
}

/** Between failures, in milliseconds: 1 s, and twice as long each time, up to 5 minutes. */
export const laneBackOff = (tries: number): number => Math.min(300_000, 1000 * 2 ** Math.min(tries - 1, 20));

/** A lane that is new, or whose policy has changed. It begins at `due`, or at the next hint. */
export const fresh = (now: number, due: number): Lane => ({ phase: 'settling', since: now, due, tries: 0 });

/** When the lane waits for the clock; undefined where it waits for something else. */
export const dueOf = (lane: Lane): number | undefined => (lane.phase === 'running' ? undefined : lane.due);

/** What follows, and whether a run of it is to begin now. */
export function next(lane: Lane, event: LaneEvent, times: LaneTimes): { readonly lane: Lane; readonly start: boolean } {
  if (event.type === 'wake') {
    const due = dueOf(lane);
    if (due === undefined || due > event.now) return { lane, start: false };
    return { lane: { phase: 'running', dirty: false, tries: triesOf(lane) }, start: true };
  }
  return { lane: after(lane, event, times), start: false };
}

const triesOf = (lane: Lane): number => ('tries' in lane ? lane.tries : 0);

function after(lane: Lane, event: Exclude<LaneEvent, { type: 'wake' }>, times: LaneTimes): Lane {
  switch (event.type) {
    case 'hint':
      return hinted(lane, event.now, times);
    case 'ended':
      return lane.phase === 'running' ? ended(lane, event, times) : lane;
    case 'other-runs': {
      if (lane.phase === 'running') return lane;
      // it may have listed too early for what was heard, or failed, before it was seen to run
      const dirty = lane.phase === 'elsewhere' ? lane.dirty : lane.phase !== 'resting';
      return { phase: 'elsewhere', dirty, due: event.now + times.silence };
    }
    case 'other-over':
      if (lane.phase !== 'elsewhere') return lane;
      return lane.dirty ? settle(event.now, 0, times) : { phase: 'resting', due: event.now + times.reconcile };
  }
}

const settle = (now: number, tries: number, times: LaneTimes): Lane => ({
  phase: 'settling',
  since: now,
  due: now + times.quiet,
  tries,
});

function hinted(lane: Lane, now: number, times: LaneTimes): Lane {
  if (lane.phase === 'running' || lane.phase === 'elsewhere') return { ...lane, dirty: true };
  if (lane.phase !== 'settling') return settle(now, triesOf(lane), times);
  return { ...lane, due: Math.min(now + times.quiet, lane.since + times.mostQuiet) };
}

function ended(
  { dirty, tries }: Extract<Lane, { phase: 'running' }>,
  { now, outcome }: Extract<LaneEvent, { type: 'ended' }>,
  times: LaneTimes,
): Lane {
  if (outcome === 'passing') return { phase: 'waiting', tries: tries + 1, due: now + laneBackOff(tries + 1) };
  return dirty ? settle(now, 0, times) : { phase: 'resting', due: now + times.reconcile };
}
