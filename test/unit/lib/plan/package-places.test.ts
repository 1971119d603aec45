import { describe, expect, it } from 'vitest';
import type { SendRequest } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';
import { PoolModel } from '../../../support/pool-model.ts';
import { empty, planned, replication, table } from './package-cases.ts';

const tree = () =>
  new PoolModel('src', 'zones').run(
    'create zones/vm',
    'create zones/vm/a',
    'create zones/vm/a/x',
    'create zones/vm/b',
    'snapshot -r zones@s1',
  );

const to = (dataset: string, append?: 'path' | 'last'): SendRequest['to'] => ({
  host: 'dst',
  dataset,
  ...(append && { append }),
});

const refusal = (target: PoolModel, dataset: string, more: Partial<SendRequest>) => {
  const result = planned(tree(), target, dataset, more);
  expect(result.ok).toBe(false);
  return result.ok ? { code: undefined, message: '' } : result.error;
};

const flagsIn = (message: string): string[] => message.match(/-[de] \(\S+\)/g) ?? [];

describe('a package whose root cannot be received', () => {
  it('edge case 31: is refused as a whole if its target is a pool, with the flags that name a dataset below it', () => {
    const { code, message } = refusal(empty('tank'), 'zones/vm', { ...replication, to: to('tank') });
    expect([code, flagsIn(message)]).toEqual(['EXISTS', ['-d (tank/vm)', '-e (tank/vm)']]);
    expect(message).toEqual(mentions('dst:tank/vm', 'zones/vm/a', 'zones/vm/a/x', 'zones/vm/b'));
  });

  it.each([
    ['zones/vm/a', 'tank', ['-d (tank/vm/a)', '-e (tank/a)'], ['dst:tank/a']],
    // without its pool a pool has no name to append
    ['zones', 'tank', ['-e (tank/zones)'], ['dst:tank/zones']],
    ['zones/vm', 'tank/box', ['-d (tank/box/vm)', '-e (tank/box/vm)'], ['dst:tank/box-2', '--conflict rotate']],
  ])('%s to %s: the fixes are %s and %s', (dataset, place, flags, others) => {
    const target = empty('tank').run('create tank/box');
    for (const more of [replication, {}]) {
      const { code, message } = refusal(target, dataset, { ...more, to: to(place) });
      expect([code, flagsIn(message)]).toEqual(['EXISTS', flags]);
      expect(message).toEqual(mentions(...others));
      expect(message.includes('--conflict rotate')).toBe(place !== 'tank');
    }
  });

  it('a flag that results in the same target is not suggested', () => {
    const { message } = refusal(empty('tank'), 'zones', { ...replication, to: to('tank', 'path') });
    expect(flagsIn(message)).toEqual(['-e (tank/zones)']);
  });

  it('a pool with its own snapshots has the same message, and cannot be renamed', () => {
    const target = empty('tank').run('snapshot tank@own');
    const { code, message } = refusal(target, 'zones/vm', { ...replication, to: to('tank') });
    expect([code, flagsIn(message)]).toEqual(['DIVERGED', ['-d (tank/vm)', '-e (tank/vm)']]);
    expect(message).toEqual(mentions('dst:tank/vm'));
    expect(message).not.toEqual(mentions('--conflict rotate'));
  });

  it('no flags are suggested if they already choose the target', () => {
    const result = planned(tree(), empty('tank'), 'zones/vm', { ...replication, to: to('tank', 'last') });
    expect(table(result)).toHaveLength(4);
    expect(result.ok && result.steps.every(({ targetDataset }) => targetDataset.startsWith('tank/vm'))).toBe(true);
  });
});

describe('edge case 35 in a plan', () => {
  const deep = (pool: string, elements: number) => [pool, ...Array.from({ length: elements - 1 }, () => 'd')].join('/');
  const one = () => new PoolModel('src', 'zones').run('create zones/a', 'create zones/a/b', 'snapshot -r zones/a@s1');
  const asked = (dataset: string, place: string, more: Partial<SendRequest> = {}) =>
    planned(one(), empty('tank'), dataset, { ...more, to: to(place) });

  it('edge case 35: a parent that is too deep to be created is refused with its depth and the limit', () => {
    const result = asked('zones/a', deep('tank', 52));
    expect(result).toMatchObject({
      ok: false,
      error: { code: 'BAD_REQUEST', details: { parent: deep('tank', 51), elements: 51, most: 50 } },
    });
    expect(!result.ok && result.error.message).toEqual(mentions(deep('tank', 51), 51, 50));
  });

  it('a received dataset may be deeper than a created one', () => {
    expect(table(asked('zones/a', deep('tank', 51), replication))).toEqual([
      'full zones/a@s1 -',
      'full zones/a/b@s1 -',
    ]);
  });
});
