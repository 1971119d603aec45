import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job, JobDataset } from '../../../schemas/job.ts';
import type { Step } from '../../../schemas/plan.ts';

/** The progress of a running chain. */
export interface Live {
  /** Bytes sent so far. */
  readonly bytes: number;
  /** The reason of its wait. */
  readonly waiting: ErrorBody | undefined;
}

/** The progress of a job, by its datasets. A chain has its index in the plan. */
export interface Progress {
  readonly total: number;
  readonly failed: number;
  began(chain: number): void;
  /** The rest of a chain was planned again. */
  planned(chain: number, steps: readonly Step[]): void;
  /** @param sent bytes of the stream, for a step of unknown size */
  arrived(chain: number, step: Step, sent: number): void;
  ended(chain: number, bytes: number, error?: ErrorBody): void;
  /** Is that step still to come? */
  isLeft(chain: number, steps: readonly Step[], at: number): boolean;
  /** ZFS has estimated a step that is still to come, in bytes. */
  estimated(chain: number, step: Step, size: number): void;
  /** @param withList else only the counts, without the list of datasets */
  report(
    live: ReadonlyMap<number, Live>,
    withList: boolean,
  ): Pick<Job, 'steps' | 'done' | 'bytes' | 'size' | 'datasets'>;
}

interface Entry {
  readonly dataset: string;
  readonly targetDataset: string;
  state: JobDataset['state'];
  /** Of its current plan; none after its end. */
  steps: readonly Step[];
  /** The first of `steps` that is still to come. */
  at: number;
  done: number;
  /** Steps to come. */
  toCome: number;
  /** Estimated bytes of the steps to come. */
  left: number;
  bytes: number;
  error: ErrorBody | undefined;
}

/** Limits of the list in a job's status: datasets, and bytes of JSON. */
const mostListed = 300;
const mostBytes = 200_000;

/** Datasets that need attention come first. */
const rankOf: Record<JobDataset['state'], 0 | 1 | 2 | 3> = {
  failed: 0,
  refused: 0,
  running: 1,
  waiting: 1,
  pending: 2,
  done: 3,
};

const keyOf = ({ from, to }: Step): string => `${from?.guid ?? ''}>${to.guid}`;

/** Keeps sums, so that a report costs little however many steps there are. */
export function progressOf(plans: readonly DatasetPlan[]): Progress {
  const estimates = new Map<string, number>();
  const sizeOf = (step: Step): number | undefined => estimates.get(keyOf(step)) ?? step.size;
  const sizeOfAll = (steps: readonly Step[]): number => steps.reduce((sum, step) => sum + (sizeOf(step) ?? 0), 0);
  const entries = plans.map((plan) => initialEntry(plan, sizeOfAll(plan.steps)));
  const sums = initialSums(entries);
  function entryOf(chain: number): Entry {
    const entry = entries[chain];
    if (!entry) throw new RangeError(`the plan has no chain ${chain}`);
    return entry;
  }

  return {
    total: entries.length,
    get failed() {
      return sums.failed;
    },
    began(chain) {
      entryOf(chain).state = 'running';
    },
    planned(chain, steps) {
      const entry = entryOf(chain);
      const left = sizeOfAll(steps);
      sums.left += steps.length - entry.toCome;
      sums.size += left - entry.left;
      Object.assign(entry, { steps, at: 0, toCome: steps.length, left });
    },
    arrived(chain, step, sent) {
      const entry = entryOf(chain);
      const size = sizeOf(step);
      entry.at += 1;
      entry.done += 1;
      entry.toCome -= 1;
      entry.left -= size ?? 0;
      sums.left -= 1;
      sums.done += 1;
      if (size === undefined) sums.size += sent;
    },
    ended(chain, bytes, error) {
      const entry = entryOf(chain);
      Object.assign(entry, { state: error ? 'failed' : 'done', steps: [], bytes, error });
      sums.bytes += bytes;
      if (error) sums.failed += 1;
      else sums.doneDatasets += 1;
    },
    isLeft: (chain, steps, at) => entryOf(chain).steps === steps && entryOf(chain).at <= at,
    estimated(chain, step, size) {
      const entry = entryOf(chain);
      const more = size - (sizeOf(step) ?? 0);
      estimates.set(keyOf(step), size);
      entry.left += more;
      sums.size += more;
    },
    report(live, withList) {
      let bytes = sums.bytes;
      for (const chain of live.values()) bytes += chain.bytes;
      const { left, done, size, doneDatasets, failed } = sums;
      const list = withList ? listOf(entries, live) : [];
      const datasets = { total: entries.length, done: doneDatasets, failed, list };
      return { steps: done + left, done, bytes, size, datasets };
    },
  };
}

/** @param left estimated bytes of its steps */
const initialEntry = ({ sourceDataset, targetDataset, steps, refusal }: DatasetPlan, left: number): Entry => ({
  dataset: sourceDataset,
  targetDataset,
  state: refusal ? 'refused' : steps.length > 0 ? 'pending' : 'done',
  steps,
  at: 0,
  done: 0,
  toCome: steps.length,
  left,
  bytes: 0,
  error: refusal?.error,
});

function initialSums(entries: readonly Entry[]) {
  const count = (state: JobDataset['state']): number => entries.filter((entry) => entry.state === state).length;
  return {
    left: entries.reduce((sum, { toCome }) => sum + toCome, 0),
    done: 0,
    bytes: 0,
    size: entries.reduce((sum, { left }) => sum + left, 0),
    doneDatasets: count('done'),
    failed: count('refused'),
  };
}

function listOf(entries: readonly Entry[], live: ReadonlyMap<number, Live>): JobDataset[] {
  const ranks: [number[], number[], number[], number[]] = [[], [], [], []];
  for (const [chain, { state }] of entries.entries()) {
    const rank = ranks[rankOf[state]];
    if (rank.length < mostListed) rank.push(chain);
  }
  const list: JobDataset[] = [];
  let room = mostBytes;
  for (const chain of ranks.flat().slice(0, mostListed)) {
    const entry = entries[chain];
    if (!entry) continue;
    const one = datasetOf(entry, live.get(chain));
    room -= Buffer.byteLength(JSON.stringify(one)) + 1;
    if (room < 0) break;
    list.push(one);
  }
  return list;
}

function datasetOf(entry: Entry, live: Live | undefined): JobDataset {
  const { dataset, targetDataset, toCome, done } = entry;
  const error = live?.waiting ?? entry.error;
  return {
    dataset,
    targetDataset,
    state: live?.waiting ? 'waiting' : entry.state,
    steps: done + toCome,
    done,
    bytes: live?.bytes ?? entry.bytes,
    ...(error && { error }),
  };
}
