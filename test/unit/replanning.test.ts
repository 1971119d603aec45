import { describe, expect, test } from 'vitest';
import type { DatasetPlan } from '../../lib/plan/items.ts';
import { refuse } from '../../lib/plan/refusal.ts';
import { replanner, shared } from '../../services/sender/replanning.ts';

describe('work that many ask for', () => {
  /** Work that ends when told; each run gives its number. */
  function workshop() {
    const runs: PromiseWithResolvers<number>[] = [];
    const ask = shared(() => {
      const run = Promise.withResolvers<number>();
      runs.push(run);
      return run.promise;
    });
    return { runs, ask };
  }
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  test('is done once for all who ask before it begins; who asks while it runs waits for the next run', async () => {
    const { runs, ask } = workshop();
    const early = [ask(), ask(), ask()];
    await turn();
    expect(runs).toHaveLength(1);
    const late = [ask(), ask()];
    await turn();
    expect(runs, 'one at a time').toHaveLength(1);
    runs[0]?.resolve(1);
    expect(await Promise.all(early)).toEqual([1, 1, 1]);
    await turn();
    expect(runs).toHaveLength(2);
    runs[1]?.resolve(2);
    expect(await Promise.all(late)).toEqual([2, 2]);
  });

  test('fails for those who shared it, and not for the next', async () => {
    const { runs, ask } = workshop();
    const first = ask();
    await turn();
    const second = ask();
    runs[0]?.reject(new Error('no answer'));
    await expect(first).rejects.toThrow('no answer');
    await turn();
    runs[1]?.resolve(2);
    expect(await second).toBe(2);
  });
});

describe('planning again', () => {
  const inventory = { host: 'smos-01', datasets: [] };
  const step = { type: 'full' as const, to: { name: 'tank/a@1', guid: '1' }, target: 'tank/a' };
  const refusal = refuse('DIVERGED', 'went its own way');
  const datasets: DatasetPlan[] = [
    { dataset: 'tank/a', target: 'tank/a', steps: [step] },
    { dataset: 'tank/b', target: 'tank/b', steps: [], refusal },
  ];
  const request = { dataset: 'tank/a', to: { host: 'smos-00' } };
  const replan = replanner(
    request,
    async () => ({ plans: { datasets, notes: [] }, source: inventory, target: inventory }),
    () => [],
  );
  const of = (dataset: string) => ({ dataset, steps: [] });

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
      request,
      async () => ({ plans: refusal, source: inventory, target: inventory }),
      () => [],
    );
    expect(await all(of('tank/a'))).toEqual(refusal);
  });
});
