import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inventoryFileSchema } from '../../../../schemas/inventory.ts';
import { planSchema } from '../../../../schemas/plan.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { dataset, inventory, request, short } from './plan-history.ts';

const planned = (what: Parameters<typeof request>, source: string, target: string | undefined) =>
  plan(
    request(...what),
    inventory('src', dataset('zones/test', source)),
    inventory('dst', ...(target === undefined ? [] : [dataset('zones/test', target)])),
  );

describe('the chain of a dataset', () => {
  it('seeds an empty target with the seven snapshots of zones/test, one step each', () => {
    const path = new URL('../../../fixtures/inventories/zones-test.json', import.meta.url);
    const { source, target } = inventoryFileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    const result = plan({ dataset: 'zones/test', to: { host: 'smos-00' } }, source, target);
    expect(planSchema.parse(result)).toEqual(result);
    expect(short(result)).toEqual([
      'full @now',
      '@now -> @now2',
      '@now2 -> @8550',
      '@8550 -> @18569',
      '@18569 -> @20392',
      '@20392 -> @30577',
      '@30577 -> @4387',
    ]);
  });

  it.each([
    ['seeds up to the named snapshot', 'zones/test@b', '@a,1 @b,2 @c,3', undefined, ['full @a', '@a -> @b']],
    ['continues after the newest common snapshot', 'zones/test', '@a,1 @b,2 @c,3', '@a,1', ['@a -> @b', '@b -> @c']],
    ['stops at the named snapshot', 'zones/test@b', '@a,1 @b,2 @c,3', '@a,1', ['@a -> @b']],
    ['finds nothing to do when the target has all', 'zones/test', '@a,1 @b,2', '@a,1 @b,2', []],
    ['keeps the snapshots that the source has pruned', 'zones/test', '@b,2 @c,3', '@a,1 @b,2', ['@b -> @c']],
    ['does not fill gaps before the newest common', 'zones/test', '@a,1 @b,2 @c,3 @d,4', '@a,1 @c,3', ['@c -> @d']],
    ['starts from a bookmark', 'zones/test', '#a,1 @b,2 @c,3', '@a,1', ['#a -> @b', '@b -> @c']],
    ['prefers the snapshot to its bookmark', 'zones/test', '@a,1 #x,1 @b,2', '@a,1', ['@a -> @b']],
    ['prefers the newer bookmark to an older snapshot', 'zones/test', '@a,1 #b,2 @c,3', '@a,1 @b,2', ['#b -> @c']],
    ['matches by guid if names differ', 'zones/test', '@a,1 @b,2', '@other,1', ['@a -> @b']],
    ['orders by createtxg, not by name or place', 'zones/test', '@a,30 @z,4 @m,100', '@z,4', ['@z -> @a', '@a -> @m']],
    ['compares beyond 53 bits', 'zones/test', '@a,1,9007199254740993 @b,2,9007199254740992', '@b,2', ['@b -> @a']],
    ['finds the named snapshot there', 'zones/test@a', '@a,1 @b,2', '@a,1', []],
    ['finds it there, regardless of later snapshots', 'zones/test@a', '@a,1 @b,2', '@a,1 @mine,9', []],
  ])('%s', (_, what, source, target, steps) => {
    expect(short(planned([what], source, target))).toEqual(steps);
  });

  it.each([
    ['a common snapshot', '@a,1 @b,2', '@b,2'],
    ['a common bookmark', '@a,1 #b,2 @c,3', '@b,2'],
  ])('refuses a snapshot that is older than %s, which the target can never receive', (_, source, target) => {
    const result = planned(['zones/test@a'], source, target);
    expect(result).toMatchObject({
      ok: false,
      error: {
        code: 'DIVERGED',
        message: mentions('zones/test', 'dst', '@a', '--full zones/test@a dst:zones/test-2'),
      },
      evidence: { newestCommon: 'b' },
    });
  });

  it('names guids, kinds and the target in each step', () => {
    const result = plan(
      request('zones/test', { to: { host: 'dst', dataset: 'tank/copy' } }),
      inventory('src', dataset('zones/test', '#a,1 @b,2')),
      inventory('dst', dataset('tank/copy', '@a,1')),
    );
    const from = { name: 'zones/test#a', guid: '1', kind: 'bookmark' };
    const to = { name: 'zones/test@b', guid: '2' };
    expect(result).toEqual({
      ok: true,
      steps: [{ type: 'incremental', to, from, targetDataset: 'tank/copy', size: 20 }],
    });
  });

  it('continues an interrupted seed, whose dataset has no snapshot yet', () => {
    const partial = dataset('zones/test', '', { resumeToken: '1-abc-def' });
    const result = plan(request('zones/test'), inventory('src', dataset('zones/test', '@a,1 @b,2')), {
      host: 'dst',
      datasets: [partial],
    });
    expect(short(result)).toEqual(['full @a', '@a -> @b']);
  });
});

describe('one incremental, -i', () => {
  it.each([
    ['is that one step', '@a', 'zones/test@c', '@a,1 @b,2 @c,3', '@a,1', ['@a -> @c']],
    ['starts from the bookmark asked for', '#x', 'zones/test@c', '@a,1 #x,1 @c,3', '@a,1', ['#x -> @c']],
    ['is nothing when the target has it', '@a', 'zones/test@b', '@a,1 @b,2', '@b,2 @mine,7', []],
    ['needs its base on the target', '@b', 'zones/test@c', '@a,1 @b,2 @c,3', '@a,1', 'BASE_MISSING'],
    ['needs its base by guid, not by name', '@b', 'zones/test@c', '@a,1 @b,2 @c,3', '@a,1 @b,9', 'BASE_MISSING'],
    ['needs the dataset', '@a', 'zones/test@b', '@a,1 @b,2', undefined, 'BASE_MISSING'],
    ['needs a base that is the newest there', '@a', 'zones/test@c', '@a,1 @b,2 @c,3', '@a,1 @b,2', 'DIVERGED'],
    ['needs a base that is the newest there', '@a', 'zones/test@c', '@a,1 @c,3', '@a,1 @mine,7', 'DIVERGED'],
    ['needs a free name', '@b', 'zones/test@c', '@b,2 @c,3', '@c,1 @b,2', 'DIVERGED'],
    ['needs a base that the source has', '@x', 'zones/test@c', '@a,1 @c,3', '@a,1', 'NO_SUCH_SNAPSHOT'],
    ['does not take a bookmark for a snapshot', '@x', 'zones/test@c', '#x,1 @c,3', '@a,1', 'NO_SUCH_SNAPSHOT'],
    ['needs a bookmark that the source has', '#a', 'zones/test@c', '@a,1 @c,3', '@a,1', 'NO_SUCH_SNAPSHOT'],
    ['goes forward', '@b', 'zones/test@a', '@a,1 @b,2', undefined, 'BAD_REQUEST'],
    ['goes forward by createtxg, not by name', '@a', 'zones/test@b', '@b,1 @a,2', undefined, 'BAD_REQUEST'],
    ['goes somewhere', '#a', 'zones/test@a', '@a,1 #a,1', '@z,9', 'BAD_REQUEST'],
    ['needs a snapshot to go to', '@a', 'zones/test', '@a,1 @b,2', '@a,1', 'BAD_REQUEST'],
  ] as const)('%s', (_, from, what, source, target, steps) => {
    expect(short(planned([what, { from }], source, target))).toEqual(steps);
  });
});

describe('one full stream, --full', () => {
  it.each([
    ['is that one step', 'zones/test@b', '@a,1 @b,2', undefined, ['full @b']],
    ['is nothing when the target has it', 'zones/test@b', '@a,1 @b,2', '@b,2', []],
    ['needs a free name', 'zones/test@b', '@a,1 @b,2', '@a,1', 'EXISTS'],
    ['does not overwrite an empty dataset', 'zones/test@b', '@a,1 @b,2', '', 'EXISTS'],
    ['needs a snapshot', 'zones/test', '@a,1 @b,2', undefined, 'BAD_REQUEST'],
  ])('%s', (_, what, source, target, steps) => {
    expect(short(planned([what, { full: true }], source, target))).toEqual(steps);
  });

  it('may continue an interrupted one', () => {
    const partial = dataset('zones/test', '', { resumeToken: '1-abc-def' });
    const source = inventory('src', dataset('zones/test', '@a,1 @b,2'));
    expect(short(plan(request('zones/test@b', { full: true }), source, inventory('dst', partial)))).toEqual([
      'full @b',
    ]);
  });

  it('has no base', () => {
    expect(short(planned(['zones/test@b', { full: true, from: '@a' }], '@a,1 @b,2', undefined))).toBe('BAD_REQUEST');
  });
});

describe('a clone', () => {
  const origin = { name: 'zones/base@gold', guid: '5' };
  const clone = dataset('zones/test', '@a,10 @b,11', { origin });
  const base = dataset('zones/base', '@gold,5');
  const source = inventory('src', base, clone);

  it('begins with an incremental from its origin, which the target has by guid under any name', () => {
    const result = plan(request('zones/test'), source, inventory('dst', dataset('zones/images', '@renamed,5')));
    expect(short(result)).toEqual(['zones/base@gold -> @a', '@a -> @b']);
    expect(result).toMatchObject({
      steps: [{ origin: 'zones/images@renamed', from: { guid: '5', kind: 'snapshot' }, size: 100 }, { size: 110 }],
    });
    expect(result.ok && result.steps[1]).not.toHaveProperty('origin');
  });

  it('takes the origin of the same name if several have the guid', () => {
    const target = inventory('dst', dataset('zones/a', '@gold,5'), base, dataset('zones/c', '@gold,5'));
    expect(plan(request('zones/test'), source, target)).toMatchObject({ steps: [{ origin: 'zones/base@gold' }, {}] });
  });

  it('is refused without its origin on the target, with both names and the fixes', () => {
    const result = plan(request('zones/test'), source, inventory('dst', dataset('zones/base', '@gold,6')));
    expect(result).toMatchObject({ error: { code: 'ORIGIN_MISSING', details: { clone: 'zones/test' } } });
    expect(!result.ok && result.error.message).toEqual(
      mentions('zones/test', 'src', 'zones/base@gold', 'zones/base', 'dst', '-c'),
    );
  });

  it('cannot be received from an origin in another pool', () => {
    const target = inventory('dst', dataset('tank/base', '@gold,5'));
    const both = inventory('dst', dataset('tank/base', '@gold,5'), dataset('zones', ''));
    expect(short(plan(request('zones/test'), source, both))).toBe('ORIGIN_MISSING');
    const there = request('zones/test', { to: { host: 'dst', dataset: 'tank/test' } });
    expect(short(plan(there, source, target))).toEqual(['zones/base@gold -> @a', '@a -> @b']);
  });

  it('is refused if the listing does not show the guid of its origin', () => {
    const blind = inventory('src', dataset('zones/test', '@a,10', { origin: { name: 'zones/base@gold' } }));
    expect(short(plan(request('zones/test'), blind, inventory('dst', base)))).toBe('ORIGIN_MISSING');
  });

  it('continues like any dataset once the target has a snapshot of it', () => {
    const target = inventory('dst', dataset('zones/test', '@a,10'));
    expect(short(plan(request('zones/test'), source, target))).toEqual(['@a -> @b']);
  });

  it('can be sent as a full stream', () => {
    const result = plan(request('zones/test@b', { full: true }), source, inventory('dst'));
    expect(short(result)).toEqual(['full @b']);
  });

  it('needs its own snapshot', () => {
    const bare = inventory('src', base, dataset('zones/test', '', { origin }));
    expect(short(plan(request('zones/test'), bare, inventory('dst', base)))).toBe('NO_SUCH_SNAPSHOT');
  });
});

describe('estimated sizes', () => {
  const sizes = (...args: Parameters<typeof planned>) => {
    const result = planned(...args);
    return result.ok ? result.steps.map((step) => step.size) : result.error.code;
  };

  it('are the referenced bytes for a full stream, and the written bytes for each later step', () => {
    expect(sizes(['zones/test'], '@a,1 @b,2 @c,3', undefined)).toEqual([100, 20, 30]);
  });

  it('add up over the snapshots that an incremental skips', () => {
    expect(sizes(['zones/test@d', { from: '@a' }], '@a,1 @b,2 @c,3 @d,4', '@a,1')).toEqual([90]);
  });

  it('count from the creation of a bookmark', () => {
    expect(sizes(['zones/test@d', { from: '#b' }], '@a,1 #b,2 @c,3 @d,4', '@b,2')).toEqual([70]);
    expect(sizes(['zones/test'], '@a,1 #b,2 @c,3 @d,4', '@b,2')).toEqual([30, 40]);
  });
});
