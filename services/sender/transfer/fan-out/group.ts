import { datasetOf } from '../../../../schemas/names.ts';
import type { Step } from '../../../../schemas/plan.ts';
import type { ReadDeps } from '../send-stream.ts';
import { away, coming, keyOf } from './member-state.ts';
import { openRateLimit, type Pace } from './pace.ts';
import { openPlaces, type Places } from './places.ts';
import { type FanOutSession, openSession, type Participant } from './session.ts';

/** One job of a fan, which shares its reads with the others. */
export interface FanMember {
  /** The datasets of which it has something to send; until it says so, any. */
  planned(datasets: readonly string[]): void;
  /**
   * Waits for the others that need the same step next. Undefined when there are none: the step is this job's alone.
   * Whoever waits too long for a late one goes without it.
   */
  meet(step: Step): Promise<Participant | undefined>;
  /** It is about to transfer a step that it shares with nobody. */
  alone(step: Step): void;
  /** It is done with its step of a dataset, well and with another to come, or not. */
  left(dataset: string, goesOn: boolean): void;
  /** The job has ended. */
  gone(): void;
}

export interface FanOrder extends ReadDeps {
  readonly host: string;
  /** What its shared subjects are named after; a job's id. */
  readonly id: string;
  /** Jobs. */
  readonly size: number;
  /** How long those who are ready wait for a late one, in milliseconds; at the first step longer where planning took long. */
  readonly gatherMs: number;
  /** How long a receiver may take to answer before the read begins without it, in milliseconds. */
  readonly answerMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Gathering {
  readonly step: Step;
  readonly waiting: Map<number, (participant: Participant | undefined) => void>;
  readonly late: NodeJS.Timeout;
}

/** Jobs that send the same dataset to different targets: what several of them need at once is read once. */
export function openFanOutGroup(order: FanOrder): FanMember[] {
  const gatherings = new Map<string, Gathering>();
  const places = openPlaces(order.size);
  const pace = openRateLimit(order.gatherMs, order.now ?? (() => performance.now()));
  let sessions = 0;

  /** Begins every gathering that waits for nobody any more. */
  function look(): void {
    for (const [key, { step }] of gatherings) if (!places.someAwaited(step)) begin(key);
  }

  function giveUp(key: string): void {
    const step = gatherings.get(key)?.step;
    if (!step) return;
    places.giveUp(step);
    begin(key);
  }

  function begin(key: string): void {
    const gathering = gatherings.get(key);
    if (!gathering) return;
    gatherings.delete(key);
    clearTimeout(gathering.late);
    const { step, waiting } = gathering;
    const dataset = datasetOf(step.to.name);
    pace.began(dataset);
    const session: FanOutSession | undefined =
      waiting.size > 1
        ? openSession({ ...order, id: `${order.id}f${++sessions}`, size: waiting.size }, step)
        : undefined;
    for (const [member, resolve] of waiting) {
      places.move(member, dataset, { is: 'sending', to: step.to.guid });
      resolve(session?.participant());
    }
  }

  /** Leaves where it waits, if it does. */
  function leave(member: number, dataset: string): void {
    const place = places.of(member, dataset);
    const gathering = place.is === 'waiting' ? gatherings.get(place.key) : undefined;
    gathering?.waiting.get(member)?.(undefined);
    gathering?.waiting.delete(member);
    if (place.is !== 'waiting' || gathering?.waiting.size !== 0) return;
    clearTimeout(gathering.late);
    gatherings.delete(place.key);
  }

  function meet(member: number, step: Step): Promise<Participant | undefined> {
    const { promise, resolve } = Promise.withResolvers<Participant | undefined>();
    const key = keyOf(step);
    const dataset = datasetOf(step.to.name);
    leave(member, dataset);
    const gathering = gatherings.get(key) ?? {
      step,
      waiting: new Map(),
      late: setTimeout(() => giveUp(key), pace.patienceFor(dataset)),
    };
    gatherings.set(key, gathering);
    gathering.waiting.set(member, resolve);
    places.move(member, dataset, { is: 'waiting', key, to: step.to.guid });
    look();
    return promise;
  }

  return Array.from({ length: order.size }, (_, member) => memberOf(member, { places, pace, look, leave, meet }));
}

interface FanOutGroup {
  readonly places: Places;
  readonly pace: Pace;
  look(): void;
  leave(member: number, dataset: string): void;
  meet(member: number, step: Step): Promise<Participant | undefined>;
}

function memberOf(member: number, { places, pace, look, leave, meet }: FanOutGroup): FanMember {
  return {
    planned(datasets) {
      places.planned(member, datasets);
      look();
    },
    meet: (step) => meet(member, step),
    alone({ to }) {
      const dataset = datasetOf(to.name);
      leave(member, dataset);
      places.move(member, dataset, { is: 'sending', to: to.guid });
      look();
    },
    left(dataset, goesOn) {
      if (goesOn) pace.ended(dataset);
      leave(member, dataset);
      places.move(member, dataset, goesOn ? coming : away);
      look();
    },
    gone() {
      for (const dataset of places.datasetsOf(member)) leave(member, dataset);
      places.gone(member);
      look();
    },
  };
}
