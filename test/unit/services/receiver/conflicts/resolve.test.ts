import pino from 'pino';
import { describe, expect, test } from 'vitest';
import type { Zfs } from '../../../../../lib/zfs/zfs.ts';
import type { ConflictResolution, Rollback } from '../../../../../schemas/conflict.ts';
import { type ErrorDetails, ZpsendError } from '../../../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../../../schemas/inventory.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { clearTarget } from '../../../../../services/receiver/conflicts/resolve.ts';
import { dataset } from '../../../lib/plan/plan-history.ts';

const cursor = 'zpsend_far_0123abcd_12';
const { guid } = dataset('tank/a', '');
const back: Rollback = {
  kind: 'rollback',
  guid,
  to: { name: 'tank/a@x', guid: '10' },
  destroys: [{ name: 'y', guid: '12' }],
  cursors: [{ name: cursor, guid: '12' }],
  written: 5,
  after: 'before1:done',
};
const rotation: ConflictResolution = { kind: 'rename', from: 'tank/a', to: 'tank/a_diverged_5', guid };

interface Target {
  datasets: DatasetEntry[];
  /** Bytes since the snapshot of the rollback. */
  since: number;
  tag: string;
  /** It lets no snapshot go. */
  refuses?: boolean;
}

interface Way {
  /** Commands after which the work is to stop. */
  most?: number;
  /** The change of the target right after a command. */
  then?: (command: string, target: Target) => void;
}

/** Clears, and returns the commands. */
async function cleared(
  before: ConflictResolution,
  datasets: DatasetEntry[],
  { most = Number.POSITIVE_INFINITY, then }: Way = {},
) {
  const did: string[] = [];
  const target: Target = { datasets, since: 120, tag: 'zpsend:base' };
  const doing = (what: string) => {
    did.push(what);
    then?.(what, target);
  };
  const zfs: Partial<Zfs> = {
    async list() {
      const seen = target.datasets;
      then?.('look', target);
      return seen;
    },
    inspect: async (names) =>
      target.datasets.flatMap(({ name, type, guid }) =>
        names.includes(name) ? [{ name, type, guid, createtxg: '1', written: 0, userrefs: 0 }] : [],
      ),
    writtenSince: async () => target.since,
    async markRollback(name, guid, rolledBack) {
      target.datasets = target.datasets.map((one) => ({ ...one, rolledBack }));
      doing(`mark ${name} ${guid === one(datasets).guid ? rolledBack : 'another'}`);
    },
    hold: async (tag, names) => doing(`hold ${tag} ${names}`),
    holds: async (names) => names.map((snapshot) => ({ snapshot, tag: target.tag })),
    abortReceive: async (name) => doing(`abort ${name}`),
    async release(tag, names) {
      doing(`release ${tag} ${names}`);
      return { missing: false };
    },
    async destroySnapshots(name, leaves) {
      if (target.refuses) throw new ZpsendError('DIVERGED', 'cloned');
      doing(`destroy ${name}@${leaves}`);
    },
    destroyBookmark: async (name) => doing(`destroy ${name}`),
    rollback: async (name) => doing(`rollback ${name}`),
    rename: async (from, to) => doing(`rename ${from} ${to}`),
  };
  const deps = { zfs: zfs as Zfs, host: 'smos-00', log: logOf(pino({ enabled: false })) };
  const start = { transfer: 'abc123t1', targetDataset: 'tank/a', before };
  const failure = await clearTarget(deps, start, { discard: true, stopped: () => did.length >= most }).then(
    () => undefined,
    (error) => error,
  );
  return { did, failure };
}

const one = ([first]: DatasetEntry[]): DatasetEntry => first ?? dataset('none', '');
const there = (more: Partial<DatasetEntry> = {}): DatasetEntry => {
  const entry = dataset('tank/a', `@x,10 @y,12 #${cursor},12`);
  const snapshots = entry.snapshots.map((one) => ({ ...one, userrefs: one.name === 'y' ? 1 : 0 }));
  return { ...entry, written: 5, rolledBack: 'before1:done', snapshots, ...more };
};
const snapshotsOf = (history: string) => ({ snapshots: dataset('tank/a', history).snapshots });
const mark = 'mark tank/a abc123t1';
const all = [
  mark,
  'abort tank/a',
  'hold zpsend:base tank/a@x',
  'release zpsend:base tank/a@y',
  'destroy tank/a@y',
  `destroy tank/a#${cursor}`,
  'rollback tank/a@x',
  `${mark}:done`,
];

describe('I1: after the lock is lost nothing more is done', () => {
  test.each([0, 1, 2, 3, 4, 5, 6])('to a dataset that is rolled back, after %i commands', async (most) => {
    // a snapshot that was released and not destroyed is held again
    const again = most === 4 ? ['hold zpsend:base tank/a@y'] : [];
    expect(await cleared(back, [there()], { most })).toEqual({
      did: [...all.slice(0, most), ...again],
      failure: undefined,
    });
  });

  test('but everything is done if the lock is kept', async () => {
    expect(await cleared(back, [there()])).toEqual({ did: all, failure: undefined });
  });

  test.each([0, 1, 2])('to a dataset that is renamed, after %i commands', async (most) => {
    const did = ['abort tank/a', 'rename tank/a tank/a_diverged_5'];
    expect((await cleared(rotation, [dataset('tank/a', '@x,10')], { most })).did).toEqual(did.slice(0, most));
  });
});

test('I5: a dataset with children is not renamed, since a renaming moves them too', async () => {
  const { did, failure } = await cleared(rotation, [dataset('tank/a', '@x,10'), dataset('tank/a/kid', '')]);
  expect(did).toEqual([]);
  expect(failure).toMatchObject({ code: 'DIVERGED', details: { below: ['tank/a/kid'] } });
});

describe('I5: a rollback loses nothing that was not counted', () => {
  test('a dataset that was written to since the plan is not changed, nor its partial state', async () => {
    const { did, failure } = await cleared(back, [there({ written: 6 })]);
    expect(did).toEqual([]);
    expect(failure).toMatchObject({ code: 'DIVERGED', details: { written: 6, planned: 5 } });
  });

  test.each<[string, (target: Target) => void, ErrorDetails]>([
    [
      'something was written',
      (target) => {
        one(target.datasets).written += 1;
      },
      { written: 6, planned: 5 },
    ],
    [
      'a snapshot was made',
      (target) => {
        target.datasets = [{ ...one(target.datasets), ...dataset('tank/a', '@x,10 @y,12 @z,13') }];
      },
      { new: ['@z'] },
    ],
    [
      'a hold was set',
      (target) => {
        target.tag = 'keep';
      },
      { tag: 'keep' },
    ],
  ])('a change that ZFS shows only after the mark is set: %s', async (_, change, details) => {
    const then = (command: string, target: Target) => {
      if (command === mark) change(target);
    };
    const { did, failure } = await cleared(back, [there()], { then });
    expect(did).toEqual([mark]);
    expect(failure).toMatchObject({ code: 'DIVERGED', details });
  });

  test.each(all.slice(1, 6))('data that is written later is kept: right after %s', async (last) => {
    const then = (command: string, target: Target) => {
      if (command === last) target.since += 1;
    };
    const { did, failure } = await cleared(back, [there()], { then });
    expect(did).toEqual(all.slice(0, 6));
    expect(failure).toMatchObject({ code: 'DIVERGED', details: { written: 121, planned: 120 } });
  });

  test('data that is written between the second listing and the count is kept, since the count comes first', async () => {
    let looks = 0;
    const then = (command: string, target: Target) => {
      if (command === 'look' && ++looks === 2) target.since += 1000;
    };
    const { did, failure } = await cleared(back, [there()], { then });
    expect(did).not.toContain('rollback tank/a@x');
    expect(failure).toMatchObject({ code: 'DIVERGED', details: { written: 1120, planned: 120 } });
  });

  test('a snapshot that replaced a listed one under its name is kept, and held again', async () => {
    const then = (command: string, target: Target) => {
      if (command.startsWith('release')) {
        target.datasets = [{ ...there({ rolledBack: 'abc123t1' }), ...snapshotsOf('@x,10 @y,99') }];
      }
    };
    const { did, failure } = await cleared(back, [there()], { then });
    expect(did).toEqual([...all.slice(0, 4), 'hold zpsend:base tank/a@y']);
    expect(failure).toMatchObject({ code: 'DIVERGED', details: { new: ['@y'] } });
  });

  test('a snapshot that ZFS does not destroy is held again', async () => {
    const then = (command: string, target: Target) => {
      if (command === mark) target.refuses = true;
    };
    const { did, failure } = await cleared(back, [there()], { then });
    expect(did).toEqual([...all.slice(0, 4), 'hold zpsend:base tank/a@y']);
    expect(failure).toMatchObject({ code: 'DIVERGED' });
  });

  test('another dataset of that name is not changed', async () => {
    const { did, failure } = await cleared(back, [there({ guid: '4711' })]);
    expect(did).toEqual([]);
    expect(failure).toMatchObject({ code: 'DIVERGED', details: { guid: '4711' } });
  });

  describe('of a rollback that has started and whose end is not known', () => {
    const unfinished = (destroys: Rollback['destroys']) => ({ ...back, destroys, cursors: [], after: 'before1' });

    test('only the mark is set if only written bytes would be lost', async () => {
      const { did, failure } = await cleared(unfinished([]), [
        { ...dataset('tank/a', '@x,10'), written: 5, rolledBack: 'before1' },
      ]);
      expect(did).toEqual([`${mark}:done`]);
      expect(failure).toMatchObject({ code: 'DIVERGED', details: { reason: 'rollback-unfinished' } });
    });

    test('all snapshots still exist, so the rollback did not happen', async () => {
      const { did, failure } = await cleared(unfinished([{ name: 'y', guid: '12' }]), [
        { ...dataset('tank/a', '@x,10 @y,12'), written: 5, rolledBack: 'before1' },
      ]);
      expect(failure).toBeUndefined();
      expect(did).toContain('rollback tank/a@x');
    });

    test('a plan that was made during the rollback is too late after its end', async () => {
      const { did, failure } = await cleared(unfinished([]), [
        { ...dataset('tank/a', '@x,10'), written: 5, rolledBack: 'before1:done' },
      ]);
      expect(did).toEqual([]);
      expect(failure).toMatchObject({ code: 'DIVERGED', details: { transfer: 'before1:done' } });
    });
  });

  test('I9: after a completed rollback only unwanted partial state is discarded', async () => {
    for (const rolledBack of ['before1', 'abc123t1', 'other12']) {
      expect(await cleared(back, [dataset('tank/a', '@x,10', { rolledBack })])).toEqual({
        did: ['abort tank/a'],
        failure: undefined,
      });
    }
  });
});
