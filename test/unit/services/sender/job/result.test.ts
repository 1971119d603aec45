import { describe, expect, test } from 'vitest';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { type ErrorBody, ZpsendError } from '../../../../../schemas/errors.ts';
import { jobDatasetsSchema } from '../../../../../schemas/job.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import { failureOf, stateOf } from '../../../../../services/sender/job/result.ts';
import { type Live, progressOf } from '../../../../../services/sender/reporting/progress.ts';
import { mentions } from '../../../../support/mentions.ts';

const full: ErrorBody = new ZpsendError('NO_SPACE', 'out of space').toBody();
const diverged: ErrorBody = new ZpsendError('DIVERGED', 'has diverged').toBody();
const busy: ErrorBody = new ZpsendError('BUSY', 'no room', { reason: 'queued' }).toBody();

const stepOf = (dataset: string, n: number, size?: number): Step => ({
  type: 'full',
  to: { name: `${dataset}@${n}`, guid: `${dataset.length}${n}` },
  targetDataset: dataset,
  ...(size !== undefined && { size }),
});
const planOf = (dataset: string, ...sizes: (number | undefined)[]): DatasetPlan => ({
  sourceDataset: dataset,
  targetDataset: dataset,
  steps: sizes.map((size, n) => stepOf(dataset, n, size)),
});
const refused = (dataset: string): DatasetPlan => ({
  sourceDataset: dataset,
  targetDataset: dataset,
  steps: [],
  refusal: { ok: false, error: diverged },
});
const none: ReadonlyMap<number, Live> = new Map();
const live = (chain: number, bytes: number, waiting?: ErrorBody): ReadonlyMap<number, Live> =>
  new Map([[chain, { bytes, waiting }]]);

describe('progress', () => {
  const plans = [planOf('a', 10, 20), planOf('bb', 5), planOf('ccc'), refused('dddd')];
  const [one, two] = plans[0]?.steps ?? [];
  if (!one || !two) throw new Error('no steps');

  test('starts with the planned steps; datasets without steps are done, and refused ones failed', () => {
    expect(progressOf(plans).report(none, true)).toMatchObject({
      steps: 3,
      done: 0,
      bytes: 0,
      size: 35,
      datasets: { total: 4, done: 1, failed: 1 },
    });
  });

  test('counts arrived snapshots, bytes in transit, and the ends of datasets', () => {
    const progress = progressOf(plans);
    progress.began(0);
    progress.arrived(0, one, 12);
    expect(progress.report(live(0, 15), true)).toMatchObject({ steps: 3, done: 1, bytes: 15, size: 35 });
    progress.arrived(0, two, 21);
    progress.ended(0, 33);
    progress.ended(1, 2, full);
    const { datasets, ...sums } = progress.report(none, true);
    expect(sums).toEqual({ steps: 3, done: 2, bytes: 35, size: 35 });
    expect(datasets).toMatchObject({ total: 4, done: 2, failed: 2 });
    expect(datasets.list).toEqual([
      { dataset: 'bb', targetDataset: 'bb', state: 'failed', steps: 1, done: 0, bytes: 2, error: full },
      { dataset: 'dddd', targetDataset: 'dddd', state: 'refused', steps: 0, done: 0, bytes: 0, error: diverged },
      { dataset: 'a', targetDataset: 'a', state: 'done', steps: 2, done: 2, bytes: 33 },
      { dataset: 'ccc', targetDataset: 'ccc', state: 'done', steps: 0, done: 0, bytes: 0 },
    ]);
  });

  test('follows a new plan for the remaining steps', () => {
    const progress = progressOf(plans);
    progress.arrived(0, one, 10);
    progress.planned(0, [stepOf('a', 5, 7), stepOf('a', 6, 8), stepOf('a', 7, 9)]);
    expect(progress.report(none, false)).toMatchObject({ steps: 5, done: 1, size: 10 + 7 + 8 + 9 + 5 });
  });

  test('counts the sent bytes for a step of unknown size', () => {
    const progress = progressOf([planOf('a', undefined)]);
    expect(progress.report(none, false).size).toBe(0);
    progress.arrived(0, stepOf('a', 0), 44);
    expect(progress.report(none, false).size).toBe(44);
  });

  test('uses estimates for remaining steps, also after a new plan', () => {
    const progress = progressOf(plans);
    const steps = plans[0]?.steps ?? [];
    expect(progress.isLeft(0, steps, 0)).toBe(true);
    progress.estimated(0, two, 50);
    expect(progress.report(none, false).size).toBe(10 + 50 + 5);
    progress.arrived(0, one, 10);
    expect(progress.isLeft(0, steps, 0), 'it has arrived').toBe(false);
    progress.planned(0, [two, stepOf('a', 9, 1)]);
    expect(progress.isLeft(0, steps, 1), 'it is of an older plan').toBe(false);
    expect(progress.report(none, false).size).toBe(10 + 50 + 1 + 5);
    const other = plans[1]?.steps ?? [];
    progress.ended(1, 0, full);
    expect(progress.isLeft(1, other, 0), 'it never comes').toBe(false);
  });

  test('lists failed datasets first, with their reasons to wait, and only counts without the list', () => {
    const progress = progressOf([planOf('a'), planOf('bb', 1), planOf('ccc', 1), planOf('dddd', 1), refused('eeeee')]);
    progress.began(2);
    progress.began(3);
    progress.ended(3, 0, full);
    const { list } = progress.report(live(2, 7, busy), true).datasets;
    expect(list.map(({ dataset, state }) => `${dataset} ${state}`)).toEqual([
      'dddd failed',
      'eeeee refused',
      'ccc waiting',
      'bb pending',
      'a done',
    ]);
    expect(list[2]).toMatchObject({ error: busy, bytes: 7 });
    expect(progress.report(none, false).datasets).toEqual({ total: 5, done: 1, failed: 2, list: [] });
  });

  test('of ten thousand datasets fits in one message', () => {
    const long = (n: number) => `pool/${'x'.repeat(240)}${n}`;
    const error = new ZpsendError('INTERNAL', 'y'.repeat(5000)).toBody();
    const all = Array.from({ length: 10_000 }, (_, n) => planOf(long(n), 1));
    const few = progressOf(all);
    const failing = progressOf(all);
    for (const chain of all.keys()) failing.ended(chain, 0, error);
    for (const progress of [few, failing]) {
      const { datasets } = progress.report(none, true);
      expect(JSON.stringify(datasets).length).toBeLessThan(210_000);
      expect(datasets.list.length).toBeGreaterThan(30);
      expect(datasets.list.length).toBeLessThanOrEqual(300);
      expect(jobDatasetsSchema.safeParse(datasets).success).toBe(true);
      expect(datasets.total).toBe(10_000);
    }
  });
});

describe('the state of a job', () => {
  test.each([
    [['transferring'], 'running'],
    [['waiting', 'asking'], 'running'],
    [['waiting', 'waiting'], 'waiting'],
    [['waiting', 'planning'], 'planning'],
    [['planning'], 'planning'],
    [['releasing'], 'running'],
    [[], 'running'],
  ] as const)('whose chains are %j is %s', (phases, state) => expect(stateOf(phases)).toBe(state));

  const evidence = { newestCommon: null, sourceOnly: ['a'], targetOnly: ['b'] };

  test('that failed with its only dataset has that dataset’s failure', () => {
    const failure = { dataset: 'a', error: diverged, evidence };
    expect(failureOf({ total: 1, failed: 1 }, failure)).toEqual({ error: diverged, evidence });
  });

  test('that failed with some of many datasets has their number, and the code and message of the first', () => {
    const { error, evidence: told } = failureOf({ total: 12, failed: 3 }, { dataset: 'a/b', error: full, evidence });
    expect(error).toEqual({
      code: 'NO_SPACE',
      retryable: false,
      message: mentions('3 of 12', 'a/b', 'out of space'),
    });
    expect(told).toBeUndefined();
  });
});
