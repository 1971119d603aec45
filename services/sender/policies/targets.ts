import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Target } from '../../../schemas/plan.ts';
import { isAbout, laneKey, type Policy } from './policy.ts';
import { dueOf, fresh, type Lane, type LaneEvent, type LaneTimes, next } from './target-state.ts';

/** One dataset's way to one target, and what is done about it. */
export interface OpenLane {
  readonly key: string;
  policy: Policy;
  to: Target;
  state: Lane;
  /** What the last run failed with. */
  error?: ErrorBody | undefined;
  /** Events that no run has been started for yet. */
  readonly untaken: (() => void)[];
}

/** The lanes of all policies in force. Deterministic: the clock and the runs are its caller's. */
export interface Lanes {
  readonly all: ReadonlyMap<string, OpenLane>;
  /** Lanes of these policies are kept as they are, unless the policy has changed; others end, and new ones begin. */
  use(policies: readonly Policy[], now: number): void;
  /** A snapshot that may have to be sent. @param taken called when a run for it has begun, or none is needed */
  hint(snapshot: string, now: number, taken: () => void): void;
  hintAll(now: number): void;
  feed(key: string, event: Exclude<LaneEvent, { type: 'wake' }>): void;
  /** The lanes that have to be run now, and now count as running. */
  wake(now: number): OpenLane[];
  /** When the next one has to be woken; undefined where nothing is waited for. */
  readonly due: number | undefined;
}

/** The first look after a start, while it is heard what others do, in milliseconds. */
const firstLook = 1000;
/** From one first look to the next: each lists both sides, in milliseconds. */
const apart = 50;

export function openLanes(times: LaneTimes): Lanes {
  const lanes = new Map<string, OpenLane>();

  const takeAll = ({ untaken }: OpenLane): void => {
    for (const taken of untaken.splice(0)) taken();
  };

  function step(lane: OpenLane, event: LaneEvent): boolean {
    const after = next(lane.state, event, times);
    lane.state = after.lane;
    // a run that has begun is heard of, and so is what it leaves undone when it dies
    if (lane.state.phase !== 'settling') takeAll(lane);
    return after.start;
  }

  function open(policy: Policy, to: Target, now: number, due: number): OpenLane {
    const key = laneKey({ ...policy.request, to });
    const known = lanes.get(key);
    if (!known) return { key, policy, to, state: fresh(now, due), untaken: [] };
    const isSame = JSON.stringify([known.policy.request, known.to]) === JSON.stringify([policy.request, to]);
    Object.assign(known, { policy, to });
    if (!isSame) step(known, { type: 'hint', now });
    return known;
  }

  return {
    all: lanes,
    use(policies, now) {
      const opened = policies
        .flatMap((policy) => policy.targets.map((to) => ({ policy, to })))
        .map(({ policy, to }, at) => open(policy, to, now, now + firstLook + at * apart));
      const kept = new Set(opened);
      for (const lane of lanes.values()) if (!kept.has(lane)) takeAll(lane);
      lanes.clear();
      for (const lane of opened) lanes.set(lane.key, lane);
    },
    hint(snapshot, now, taken) {
      let owed = 0;
      const paid = (): void => {
        owed -= 1;
        if (owed === 0) taken();
      };
      const meant = [...lanes.values()].filter(({ policy }) => isAbout(policy, snapshot));
      for (const lane of meant) {
        owed += 1;
        lane.untaken.push(paid);
      }
      for (const lane of meant) step(lane, { type: 'hint', now });
      if (meant.length === 0) taken();
    },
    hintAll(now) {
      for (const lane of lanes.values()) step(lane, { type: 'hint', now });
    },
    feed(key, event) {
      const lane = lanes.get(key);
      if (lane) step(lane, event);
    },
    wake: (now) => [...lanes.values()].filter((lane) => step(lane, { type: 'wake', now })),
    get due() {
      const dues = [...lanes.values()].map(({ state }) => dueOf(state)).filter((due) => due !== undefined);
      return dues.length > 0 ? Math.min(...dues) : undefined;
    },
  };
}
