import { describe, expect, test } from 'vitest';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { refuse } from '../../../../../lib/plan/refusal.ts';
import { replanner } from '../../../../../services/sender/planning/replan.ts';
import { contextOf } from '../../../../support/planning.ts';

describe('planning again', () => {
  const inventory = { host: 'smos-01', datasets: [] };
  const step = { type: 'full' as const, to: { name: 'tank/a@1', guid: '1' }, targetDataset: 'tank/a' };
  const refusal = refuse('DIVERGED', 'has diverged');
  const datasets: DatasetPlan[] = [
    { sourceDataset: 'tank/a', targetDataset: 'tank/a', steps: [step] },
    { sourceDataset: 'tank/b', targetDataset: 'tank/b', steps: [], refusal },
  ];
  const context = contextOf({ dataset: 'tank/a', to: { host: 'smos-00' } });
  const replan = replanner(
    context,
    async () => ({ plans: { datasets, notes: [] }, source: inventory, target: inventory }),
    () => [],
  );
  const of = (sourceDataset: string) => ({ sourceDataset, steps: [] });

  test('gives a dataset its own steps, or its own refusal', async () => {
    expect(await replan(of('tank/a'))).toEqual({ steps: [step] });
    expect(await replan(of('tank/b'))).toEqual(refusal);
  });

  test('of a dataset that is gone is NO_SUCH_DATASET', async () => {
    await expect(replan(of('tank/c'))).rejects.toMatchObject({
      code: 'NO_SUCH_DATASET',
      details: { dataset: 'tank/c' },
    });
  });

  test('gives a refusal of everything to whoever asks', async () => {
    const all = replanner(
      context,
      async () => ({ plans: refusal, source: inventory, target: inventory }),
      () => [],
    );
    expect(await all(of('tank/a'))).toEqual(refusal);
  });
});
