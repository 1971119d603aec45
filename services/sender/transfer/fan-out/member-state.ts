import { timing } from '../../../../lib/time/timing.ts';
import { datasetOf } from '../../../../schemas/names.ts';
import type { Step } from '../../../../schemas/plan.ts';

/** The state of one dataset in one job of a fan-out. */
export type MemberState =
  /** It plans, or is between two steps. */
  | { readonly phase: 'coming' }
  /** Ready for the step of that key; `to` is the guid of the snapshot that the step ends with. */
  | { readonly phase: 'waiting'; readonly key: string; readonly to: string }
  /** It transfers that step. */
  | { readonly phase: 'sending'; readonly to: string }
  /** It has nothing (more) to send, or tries again later. */
  | { readonly phase: 'away' };

export const away: MemberState = { phase: 'away' };
export const coming: MemberState = { phase: 'coming' };

/**
 * How long ready jobs wait for a late one, in ms: no longer than the last step took, since a second read would cost no more.
 * @param lastStepMs undefined for the first step of a dataset
 */
export const gatherTime = (lastStepMs: number | undefined, mostMs: number): number =>
  lastStepMs === undefined ? mostMs : Math.min(mostMs, Math.max(timing.job.leastGatherMs, lastStepMs));

/** Steps of one key are one `zfs send`: same snapshots, by guid and dataset, and same flags. */
export const keyOf = ({ to, from, flags = [] }: Step): string =>
  [to.name, to.guid, from?.guid ?? '', flags.join('+')].join(' ');

/** Is a job worth waiting for, before a step that begins at `from` is read? One that is a whole step behind would slow the others. */
export const isAwaited = (state: MemberState, { from }: Pick<Step, 'from'>): boolean =>
  state.phase === 'coming' || (state.phase !== 'away' && from !== undefined && state.to === from.guid);

/** The state of each job of a fan-out, for each dataset; a job is named by its number, from 0. */
export interface MemberStates {
  of(member: number, dataset: string): MemberState;
  set(member: number, dataset: string, state: MemberState): void;
  /** It has something to send of these datasets, and of no other. */
  planned(member: number, datasets: readonly string[]): void;
  /** Is any job worth waiting for, before this step is read? */
  someAwaited(step: Step): boolean;
  /** A job that is late for this step is awaited at no step, until it arrives at one by itself. */
  giveUp(step: Step): void;
  datasetsOf(member: number): Iterable<string>;
  ended(member: number): void;
}

/** @param size number of jobs; each may have something to send of any dataset until it has planned */
export function openMemberStates(size: number): MemberStates {
  const members = Array.from({ length: size }, () => ({ states: new Map<string, MemberState>(), others: coming }));
  const stateOf = (member: number, dataset: string): MemberState =>
    members[member]?.states.get(dataset) ?? members[member]?.others ?? away;
  return {
    of: stateOf,
    set: (member, dataset, state) => void members[member]?.states.set(dataset, state),
    planned(member, datasets) {
      const one = members[member];
      if (!one) return;
      one.others = away;
      for (const dataset of datasets) if (!one.states.has(dataset)) one.states.set(dataset, coming);
    },
    someAwaited(step) {
      const dataset = datasetOf(step.to.name);
      return members.some((_, member) => isAwaited(stateOf(member, dataset), step));
    },
    giveUp(step) {
      for (const [member, one] of members.entries()) {
        if (!isAwaited(stateOf(member, datasetOf(step.to.name)), step)) continue;
        if (one.others.phase === 'coming') one.others = away;
        for (const [dataset, state] of one.states) if (state.phase === 'coming') one.states.set(dataset, away);
      }
    },
    datasetsOf: (member) => members[member]?.states.keys() ?? [],
    ended(member) {
      const one = members[member];
      if (!one) return;
      one.states.clear();
      one.others = away;
    },
  };
}
