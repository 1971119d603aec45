import pino from 'pino';
import { describe, expect, test } from 'vitest';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Clearing } from '../../schemas/conflict.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import type { ReceiveStart } from '../../schemas/transfer.ts';
import { clearTarget } from '../../services/receiver/clear.ts';
import { dataset } from './plan-history.ts';

const cursor = 'zpsend_far_0123abcd_12';
const back: Clearing = {
  kind: 'rollback',
  to: { name: 'tank/a@x', guid: '10' },
  destroys: [{ name: 'y', guid: '12' }],
  cursors: [{ name: cursor, guid: '12' }],
  written: 120,
};
const { guid } = dataset('tank/a', '');
const aside: Clearing = { kind: 'rename', from: 'tank/a', to: 'tank/a_diverged_5', guid };

/** Clears, and tells what was done. @param most commands after which the work is to stop */
async function cleared(before: Clearing, there: DatasetEntry[], most = Number.POSITIVE_INFINITY) {
  const did: string[] = [];
  const did1 = (what: string) => void did.push(what);
  const zfs: Partial<Zfs> = {
    list: async () => there,
    look: async (names) =>
      there.flatMap(({ name, type, guid }) =>
        names.includes(name) ? [{ name, type, guid, createtxg: '1', written: 0, userrefs: 0 }] : [],
      ),
    holds: async (names) => names.map((snapshot) => ({ snapshot, tag: 'zpsend:base' })),
    abortReceive: async (name) => did1(`abort ${name}`),
    async release(tag, names) {
      did1(`release ${tag} ${names}`);
      return { missing: false };
    },
    destroySnapshots: async (name, leaves) => did1(`destroy ${name}@${leaves}`),
    destroyBookmark: async (name) => did1(`destroy ${name}`),
    rollback: async (name) => did1(`rollback ${name}`),
    rename: async (from, to) => did1(`rename ${from} ${to}`),
  };
  const start: ReceiveStart = {
    ...{ transfer: 'abc123t1', job: 'abc123', source: 'smos-01', dataset: 'tank/a' },
    ...{ to: { name: 'zones/test@now', guid: '11' }, partial: 'discard', before },
  };
  const deps = { zfs: zfs as Zfs, host: 'smos-00', log: pino({ enabled: false }) };
  const failure = await clearTarget(deps, start, { discard: true, stopped: () => did.length >= most }).then(
    () => undefined,
    (error) => error,
  );
  return { did, failure };
}

const held = (): DatasetEntry => {
  const entry = dataset('tank/a', `@x,10 @y,12 #${cursor},12`);
  return { ...entry, snapshots: entry.snapshots.map((one) => ({ ...one, userrefs: one.name === 'y' ? 1 : 0 })) };
};
const all = [
  'abort tank/a',
  'release zpsend:base tank/a@y',
  'destroy tank/a@y',
  `destroy tank/a#${cursor}`,
  'rollback tank/a@x',
];

describe('I1: once the lock is lost nothing more is done', () => {
  test.each([0, 1, 2, 3, 4, 5])('to what is rolled back, after %i commands', async (most) => {
    expect(await cleared(back, [held()], most)).toEqual({ did: all.slice(0, most), failure: undefined });
  });

  test.each([0, 1, 2])('to what is renamed, after %i commands', async (most) => {
    const did = ['abort tank/a', 'rename tank/a tank/a_diverged_5'];
    expect((await cleared(aside, [dataset('tank/a', '@x,10')], most)).did).toEqual(did.slice(0, most));
  });
});

test('I5: what others lie below is not moved aside, since they would move along', async () => {
  const { did, failure } = await cleared(aside, [dataset('tank/a', '@x,10'), dataset('tank/a/kid', '')]);
  expect(did).toEqual([]);
  expect(failure).toMatchObject({ code: 'DIVERGED', message: expect.stringContaining('tank/a/kid lies below it') });
});

test('I5: nothing is done to what was written to since, not even to the partial state', async () => {
  const { did, failure } = await cleared(back, [{ ...held(), written: 1 }]);
  expect(did).toEqual([]);
  expect(failure).toMatchObject({ code: 'DIVERGED', details: { written: 121, planned: 120 } });
});
