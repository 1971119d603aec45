import { describe, expect, test } from 'vitest';
import { lastKnownOf } from '../../../../lib/plan/predict-target.ts';
import { planSchema } from '../../../../schemas/plan.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { dataset, inventory, request, short } from './plan-history.ts';

const source = inventory('src', dataset('zones/test', '@a,1 @b,2'), dataset('zones/test/kid', '@b,3'));
const target = (line: string | undefined, readOnlyPools: string[]) => ({
  ...inventory('dst', dataset('tank', ''), ...(line === undefined ? [] : [dataset('tank/copy', line)])),
  readOnlyPools,
});
const asked = request('zones/test', { to: { host: 'dst', dataset: 'tank/copy' } });

describe('a target in a pool that is imported read-only', () => {
  test.each<[string, string | undefined, Parameters<typeof request>[1]]>([
    ['an increment', '@a,1', {}],
    ['a seed', undefined, {}],
    ['a package', undefined, { package: 'replication' }],
    ['a rollback', '@a,1 @mine,9', { conflict: 'rollback' }],
    ['a rotation', '@mine,9', { conflict: 'rotate' }],
  ])('edge case 38: is refused %s, with the pool and how to import it writable', (_, line, more) => {
    const made = plan({ ...asked, ...more }, source, target(line, ['other', 'tank']));
    expect(planSchema.parse(made)).toMatchObject({
      ok: false,
      error: { code: 'READ_ONLY', retryable: false, details: { host: 'dst', dataset: 'tank/copy', pool: 'tank' } },
    });
    expect(made).toMatchObject({ error: { message: mentions('zpool import tank') } });
  });

  test('is not refused if it has all snapshots, and a divergence is refused as DIVERGED', () => {
    expect(plan(asked, source, target('@a,1 @b,2', ['tank']))).toMatchObject({ ok: true, steps: [] });
    expect(short(plan(asked, source, target('@a,1 @mine,9', ['tank'])))).toBe('DIVERGED');
  });

  test('does not affect other pools', () => {
    expect(plan(asked, source, target('@a,1', ['tank2', 'tan']))).toMatchObject({ ok: true, steps: [{}] });
  });

  test('is not part of a known target: stored streams wait until the pool is writable', () => {
    expect(lastKnownOf(target('@a,1', ['tank']), source)).not.toHaveProperty('readOnlyPools');
  });
});
