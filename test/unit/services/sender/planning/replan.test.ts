import { describe, expect, test } from 'vitest';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { refuse } from '../../../../../lib/plan/refusal.ts';
import { replanner } from '../../../../../services/sender/planning/replan.ts';
import { contextOf } from '../../../../support/planning.ts';

describe('a replan', () => {
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

  test('returns a dataset’s own steps, or its own refusal', async () => {
    expect(await replan(of('tank/a'))).toEqual({ steps: [step] });
    expect(await replan(of('tank/b'))).toEqual(refusal);
  });

  test('of a missing dataset is NO_SUCH_DATASET', async () => {
    await expect(replan(of('tank/c'))).rejects.toMatchObject({
      code: 'NO_SUCH_DATASET',
      details: { dataset: 'tank/c' },
    });
  });

  test('that is refused as a whole fails every caller', async () => {
    const all = replanner(
      context,
      async () => ({ plans: refusal, source: inventory, target: inventory }),
      () => [],
    );
    expect(await all(of('tank/a'))).toEqual(refusal);
  });
});
