import { datasetOf } from '../../../../schemas/names.ts';
import type { Step } from '../../../../schemas/plan.ts';
import { away, coming, isAwaited, type Place } from './member-state.ts';

/** Where each job of a fan is with each dataset; a job is named by its number, from 0. */
export interface Places {
  of(member: number, dataset: string): Place;
  move(member: number, dataset: string, place: Place): void;
  /** It has something to send of these datasets, and of no other. */
  planned(member: number, datasets: readonly string[]): void;
  /** Is any job worth waiting for, before this step is read? */
  someAwaited(step: Step): boolean;
  /** Who is waited for in vain is waited for no more, at no step, until it comes by itself. */
  giveUp(step: Step): void;
  datasetsOf(member: number): Iterable<string>;
  gone(member: number): void;
}

/** @param size jobs, of which each may have something to send of any dataset */
export function openPlaces(size: number): Places {
  const members = Array.from({ length: size }, () => ({ places: new Map<string, Place>(), others: coming }));
  const placeOf = (member: number, dataset: string): Place =>
    members[member]?.places.get(dataset) ?? members[member]?.others ?? away;
  return {
    of: placeOf,
    move: (member, dataset, place) => void members[member]?.places.set(dataset, place),
    planned(member, datasets) {
      const state = members[member];
      if (!state) return;
      state.others = away;
      for (const dataset of datasets) if (!state.places.has(dataset)) state.places.set(dataset, coming);
    },
    someAwaited(step) {
      const dataset = datasetOf(step.to.name);
      return members.some((_, member) => isAwaited(placeOf(member, dataset), step));
    },
    giveUp(step) {
      for (const [member, state] of members.entries()) {
        if (!isAwaited(placeOf(member, datasetOf(step.to.name)), step)) continue;
        if (state.others.is === 'coming') state.others = away;
        for (const [dataset, place] of state.places) if (place.is === 'coming') state.places.set(dataset, away);
      }
    },
    datasetsOf: (member) => members[member]?.places.keys() ?? [],
    gone(member) {
      const state = members[member];
      if (!state) return;
      state.places.clear();
      state.others = away;
    },
  };
}
