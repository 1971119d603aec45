import { datasetOf } from '../../../../schemas/names.ts';
import type { Step } from '../../../../schemas/plan.ts';
import type { ReadDeps } from '../send-stream.ts';
import { away, coming, isAwaited, keyOf, type Place, patience } from './member-state.ts';
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

/** Whoever plans takes no more than so many times as long as the first who was ready. */
const slowest = 3;

interface Gathering {
  readonly step: Step;
  readonly waiting: Map<number, (participant: Participant | undefined) => void>;
  readonly late: NodeJS.Timeout;
}

/** Jobs that send the same dataset to different targets: what several of them need at once is read once. */
export function openFanOutGroup(order: FanOrder): FanMember[] {
  const gatherings = new Map<string, Gathering>();
  const members = Array.from({ length: order.size }, () => ({ places: new Map<string, Place>(), others: coming }));
  const now = order.now ?? (() => performance.now());
  /** When the last step of a dataset began, and what it took. */
  const steps = new Map<string, { began: number; took?: number }>();
  let sessions = 0;
  const opened = now();
  /** How long the first who was ready had planned. */
  let planned: number | undefined;

  const placeOf = (member: number, dataset: string): Place =>
    members[member]?.places.get(dataset) ?? members[member]?.others ?? away;

  /** Begins every gathering that waits for nobody any more. */
  function look(): void {
    for (const [key, { step }] of gatherings) {
      const dataset = datasetOf(step.to.name);
      if (!members.some((_, member) => isAwaited(placeOf(member, dataset), step))) begin(key);
    }
  }

  /** Who is waited for in vain is waited for no more, at no step, until it comes by itself. */
  function giveUp(key: string): void {
    const step = gatherings.get(key)?.step;
    if (!step) return;
    for (const [member, state] of members.entries()) {
      if (!isAwaited(placeOf(member, datasetOf(step.to.name)), step)) continue;
      if (state.others.is === 'coming') state.others = away;
      for (const [dataset, place] of state.places) if (place.is === 'coming') state.places.set(dataset, away);
    }
    begin(key);
  }

  function begin(key: string): void {
    const gathering = gatherings.get(key);
    if (!gathering) return;
    gatherings.delete(key);
    clearTimeout(gathering.late);
    const { step, waiting } = gathering;
    const dataset = datasetOf(step.to.name);
    steps.set(dataset, { began: now() });
    const session: FanOutSession | undefined =
      waiting.size > 1
        ? openSession({ ...order, id: `${order.id}f${++sessions}`, size: waiting.size }, step)
        : undefined;
    for (const [member, resolve] of waiting) {
      move(member, dataset, { is: 'sending', to: step.to.guid });
      resolve(session?.participant());
    }
  }

  const move = (member: number, dataset: string, place: Place): void =>
    void members[member]?.places.set(dataset, place);

  /** Leaves where it waits, if it does. */
  function leave(member: number, dataset: string): void {
    const place = placeOf(member, dataset);
    const gathering = place.is === 'waiting' ? gatherings.get(place.key) : undefined;
    gathering?.waiting.get(member)?.(undefined);
    gathering?.waiting.delete(member);
    if (place.is !== 'waiting' || gathering?.waiting.size !== 0) return;
    clearTimeout(gathering.late);
    gatherings.delete(place.key);
  }

  return members.map((state, member) => ({
    planned(datasets) {
      state.others = away;
      for (const dataset of datasets) if (!state.places.has(dataset)) state.places.set(dataset, coming);
      look();
    },
    meet(step) {
      const { promise, resolve } = Promise.withResolvers<Participant | undefined>();
      const key = keyOf(step);
      const dataset = datasetOf(step.to.name);
      leave(member, dataset);
      planned ??= now() - opened;
      const most = Math.max(order.gatherMs, slowest * planned);
      const gathering = gatherings.get(key) ?? {
        step,
        waiting: new Map(),
        late: setTimeout(() => giveUp(key), patience(steps.get(dataset)?.took, most)),
      };
      gatherings.set(key, gathering);
      gathering.waiting.set(member, resolve);
      move(member, dataset, { is: 'waiting', key, to: step.to.guid });
      look();
      return promise;
    },
    alone({ to }) {
      const dataset = datasetOf(to.name);
      leave(member, dataset);
      move(member, dataset, { is: 'sending', to: to.guid });
      look();
    },
    left(dataset, goesOn) {
      const last = steps.get(dataset);
      if (goesOn && last) last.took ??= now() - last.began;
      leave(member, dataset);
      move(member, dataset, goesOn ? coming : away);
      look();
    },
    gone() {
      for (const dataset of state.places.keys()) leave(member, dataset);
      state.places.clear();
      state.others = away;
      look();
    },
  }));
}
