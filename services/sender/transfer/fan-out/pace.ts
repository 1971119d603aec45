import { patience } from './member-state.ts';

/** Whoever plans takes no more than so many times as long as the first who was ready. */
const slowest = 3;

/** How long those who are ready wait for a late one. */
export interface Pace {
  /** A step of a dataset begins. */
  began(dataset: string): void;
  /** One of the jobs has it, and goes on: the first tells what the step took. */
  ended(dataset: string): void;
  /** Somebody is ready for the next step of a dataset. @returns milliseconds, from what planning or the step before has taken */
  patienceFor(dataset: string): number;
}

/** @param gatherMs milliseconds; longer at the first step where planning took long. @param now monotonic milliseconds */
export function openRateLimit(gatherMs: number, now: () => number): Pace {
  /** When the last step of a dataset began, and what it took. */
  const steps = new Map<string, { began: number; took?: number }>();
  const opened = now();
  /** How long the first who was ready had planned. */
  let planned: number | undefined;
  return {
    began: (dataset) => void steps.set(dataset, { began: now() }),
    ended(dataset) {
      const last = steps.get(dataset);
      if (last) last.took ??= now() - last.began;
    },
    patienceFor(dataset) {
      planned ??= now() - opened;
      return patience(steps.get(dataset)?.took, Math.max(gatherMs, slowest * planned));
    },
  };
}
