import type { Clock } from '../../../../lib/time/clock.ts';
import { datasetOf } from '../../../../schemas/names.ts';
import type { Step } from '../../../../schemas/plan.ts';
import type { ReadDeps } from '../read-stream.ts';
import { away, coming, keyOf, type MemberStates, openMemberStates } from './member-state.ts';
import { type FanOutSession, openSession, type Participant } from './session.ts';
import { openStepTimes, type StepTimes } from './step-times.ts';

/** One job of a fan-out, which shares its reads with the others. */
export interface FanOutMember {
  /** The datasets of which it has something to send; until it reports them, any. */
  planned(datasets: readonly string[]): void;
  /**
   * Waits for the others that need the same step next, but not too long for a late one.
   * @returns undefined if there are none: only this job has the step
   */
  gather(step: Step): Promise<Participant | undefined>;
  /** It is about to transfer a step that it does not share. */
  sendsAlone(step: Step): void;
  /** It is done with its step of a dataset. @param goesOn well, and another step follows */
  left(dataset: string, goesOn: boolean): void;
  /** The job has ended. */
  ended(): void;
}

export interface FanOutOrder extends ReadDeps {
  readonly host: string;
  /** Its shared subjects have this in their names; a job's id. */
  readonly id: string;
  /** Number of jobs. */
  readonly size: number;
  /** How long ready jobs wait for a late one, in ms; at the first step longer where planning took long. */
  readonly gatherMs: number;
  /** How long a receiver may take to answer before the read begins without it, in ms. */
  readonly answerMs: number;
  readonly clock: Pick<Clock, 'now' | 'after'>;
}

/** Jobs that are ready for the same step. */
interface Gathering {
  readonly step: Step;
  readonly waiting: Map<number, (participant: Participant | undefined) => void>;
  readonly cancelLate: () => void;
}

/** Jobs that send the same dataset to different targets: a step that several of them need at once is read once. */
export function openFanOutGroup(order: FanOutOrder): FanOutMember[] {
  const gatherings = new Map<string, Gathering>();
  const states = openMemberStates(order.size);
  const times = openStepTimes(order.gatherMs, order.clock);
  let sessions = 0;

  /** Begins each gathering that waits for no other job. */
  function beginReady(): void {
    for (const [key, { step }] of gatherings) if (!states.someAwaited(step)) begin(key);
  }

  function giveUp(key: string): void {
    const step = gatherings.get(key)?.step;
    if (!step) return;
    states.giveUp(step);
    begin(key);
  }

  function begin(key: string): void {
    const gathering = gatherings.get(key);
    if (!gathering) return;
    gatherings.delete(key);
    gathering.cancelLate();
    const { step, waiting } = gathering;
    const dataset = datasetOf(step.to.name);
    times.began(dataset);
    const session: FanOutSession | undefined =
      waiting.size > 1
        ? openSession({ ...order, id: `${order.id}f${++sessions}`, size: waiting.size }, step)
        : undefined;
    for (const [member, resolve] of waiting) {
      states.set(member, dataset, { phase: 'sending', to: step.to.guid });
      resolve(session?.participant());
    }
  }

  /** Leaves its gathering, if it is in one. */
  function leave(member: number, dataset: string): void {
    const state = states.of(member, dataset);
    const gathering = state.phase === 'waiting' ? gatherings.get(state.key) : undefined;
    gathering?.waiting.get(member)?.(undefined);
    gathering?.waiting.delete(member);
    if (state.phase !== 'waiting' || gathering?.waiting.size !== 0) return;
    gathering.cancelLate();
    gatherings.delete(state.key);
  }

  function gather(member: number, step: Step): Promise<Participant | undefined> {
    const { promise, resolve } = Promise.withResolvers<Participant | undefined>();
    const key = keyOf(step);
    const dataset = datasetOf(step.to.name);
    leave(member, dataset);
    const gathering = gatherings.get(key) ?? {
      step,
      waiting: new Map(),
      cancelLate: order.clock.after(times.gatherMsFor(dataset), () => giveUp(key)),
    };
    gatherings.set(key, gathering);
    gathering.waiting.set(member, resolve);
    states.set(member, dataset, { phase: 'waiting', key, to: step.to.guid });
    beginReady();
    return promise;
  }

  const group = { states, times, beginReady, leave, gather };
  return Array.from({ length: order.size }, (_, member) => memberOf(member, group));
}

interface FanOutGroup {
  readonly states: MemberStates;
  readonly times: StepTimes;
  beginReady(): void;
  leave(member: number, dataset: string): void;
  gather(member: number, step: Step): Promise<Participant | undefined>;
}

function memberOf(member: number, { states, times, beginReady, leave, gather }: FanOutGroup): FanOutMember {
  return {
    planned(datasets) {
      states.planned(member, datasets);
      beginReady();
    },
    gather: (step) => gather(member, step),
    sendsAlone({ to }) {
      const dataset = datasetOf(to.name);
      leave(member, dataset);
      states.set(member, dataset, { phase: 'sending', to: to.guid });
      beginReady();
    },
    left(dataset, goesOn) {
      if (goesOn) times.ended(dataset);
      leave(member, dataset);
      states.set(member, dataset, goesOn ? coming : away);
      beginReady();
    },
    ended() {
      for (const dataset of states.datasetsOf(member)) leave(member, dataset);
      states.ended(member);
      beginReady();
    },
  };
}
