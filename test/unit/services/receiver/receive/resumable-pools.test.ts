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

it('asks once for each pool, and says no only of one that is known to lack the feature', async () => {
  const { pools, asked } = asking(facts({ old: ['lz4_compress'], tank: ['extensible_dataset'] }));
  expect(pools.has('old/a')).toBe(true);
  for (const name of ['old/a', 'old/b', 'tank/a', 'tank/b/c']) await pools.learn(name);
  expect(asked).toEqual(['old', 'tank']);
  expect([pools.has('old/a'), pools.has('tank/b/c'), pools.has('other/a')]).toEqual([false, true, true]);
});

it('asks again where the features could not be read, and resumes until then', async () => {
  const { pools, asked } = asking(undefined);
  await pools.learn('old/a');
  await pools.learn('old/a');
  expect(asked).toEqual(['old', 'old']);
  expect(pools.has('old/a')).toBe(true);
});
