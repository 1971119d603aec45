import { expect, it } from 'vitest';
import type { PoolFacts } from '../../../../../lib/zfs/zfs.ts';
import { openResumablePools } from '../../../../../services/receiver/receive/resumable-pools.ts';

const asking = (facts: PoolFacts | undefined) => {
  const asked: (string | undefined)[] = [];
  const pools = openResumablePools({
    poolFacts: async (pool) => {
      asked.push(pool);
      return facts;
    },
  });
  return { pools, asked };
};
const facts = (features: PoolFacts['features']): PoolFacts => ({ features, active: {}, readOnlyPools: [] });

it('the features of each pool are read once; the answer is false only if the pool lacks the feature', async () => {
  const { pools, asked } = asking(facts({ old: ['lz4_compress'], tank: ['extensible_dataset'] }));
  expect(pools.has('old/a')).toBe(true);
  for (const name of ['old/a', 'old/b', 'tank/a', 'tank/b/c']) await pools.read(name);
  expect(asked).toEqual(['old', 'tank']);
  expect([pools.has('old/a'), pools.has('tank/b/c'), pools.has('other/a')]).toEqual([false, true, true]);
});

it('the features are read again after a failure; the answer is true until then', async () => {
  const { pools, asked } = asking(undefined);
  await pools.read('old/a');
  await pools.read('old/a');
  expect(asked).toEqual(['old', 'old']);
  expect(pools.has('old/a')).toBe(true);
});
