import { describe, expect, test } from 'vitest';
import { checkPools } from '../../../../../cli/commands/doctor/pools.ts';
import type { Pool } from '../../../../../schemas/host.ts';
import { mentions } from '../../../../support/mentions.ts';

const pool = (name: string, more: Partial<Pool> = {}): Pool => ({
  ...{ name, size: 1000, allocated: 500, free: 500, health: 'ONLINE', readOnly: false },
  ...more,
});

describe('the pools in doctor', () => {
  test.each<[string, Partial<Pool>, string | undefined]>([
    ['is well', {}, undefined],
    ['edge case 38: is imported read-only', { readOnly: true }, 'bad'],
    ['edge case 38: is read-only and degraded', { readOnly: true, health: 'DEGRADED' }, 'bad'],
    ['has lost a part of its devices', { health: 'DEGRADED' }, 'note'],
    ['has lost its devices', { health: 'SUSPENDED' }, 'bad'],
    ['is faulted', { health: 'FAULTED' }, 'bad'],
    ['is not available', { health: 'UNAVAIL', size: 0, allocated: 0, free: 0 }, 'bad'],
    ['is full to the last', { allocated: 960, free: 40 }, 'note'],
    ['is nearly full', { allocated: 950, free: 50 }, undefined],
  ])('one that %s', (_, more, result) => {
    const found = checkPools([pool('well'), pool('tank', more)]);
    const own = found.filter(({ result }) => result !== 'good');
    expect(own.map((check) => check.result)).toEqual(result === undefined ? [] : [result]);
    for (const { found, remedy } of own) expect([found, remedy].join(' ')).toEqual(mentions('tank'));
    expect(found.find((check) => check.result === 'good')?.found).toEqual(mentions('well', 'ONLINE'));
  });

  test('edge case 38: a read-only pool is named, with the commands that import it writable', () => {
    expect(checkPools([pool('tank', { readOnly: true })])).toEqual([
      {
        what: 'pools',
        result: 'bad',
        found: mentions('tank'),
        remedy: mentions('zpool export tank', 'zpool import tank'),
      },
    ]);
  });
});
