import type { Clock } from '../../../../lib/time/clock.ts';
import { gatherTime } from './member-state.ts';

/** Planning of a late job is awaited this many times as long as that of the first ready one took. */
const slowest = 3;

/** How long ready jobs wait for a late one, from the durations of steps and planning. */
export interface StepTimes {
  /** A step of a dataset begins. */
  began(dataset: string): void;
  /** One of the jobs has finished it and continues: the first one has the duration of the step. */
  ended(dataset: string): void;
  /** A job is ready for the next step of a dataset. @returns ms that it waits for the others */
  gatherMsFor(dataset: string): number;
}

/** @param gatherMs ms at the first step, and longer where planning took long */
export function openStepTimes(gatherMs: number, clock: Pick<Clock, 'now'>): StepTimes {
  /** The start and the duration of a dataset's last step. */
  const steps = new Map<string, { began: number; took?: number }>();
  const opened = clock.now();
  /** How long the first ready job planned. */
  let planned: number | undefined;
  return {
    began: (dataset) => void steps.set(dataset, { began: clock.now() }),
    ended(dataset) {
      const last = steps.get(dataset);
      if (last) last.took ??= clock.now() - last.began;
    },
    gatherMsFor(dataset) {
      planned ??= clock.now() - opened;
      return gatherTime(steps.get(dataset)?.took, Math.max(gatherMs, slowest * planned));
    },
  };
}
