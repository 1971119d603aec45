import pino from 'pino';
import { describe, expect, test } from 'vitest';
import type { Zfs } from '../../../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { Inventory } from '../../../../../schemas/inventory.ts';
import { newId } from '../../../../../services/host/ids.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { type CursorTarget, targetHash } from '../../../../../services/sender/bases/cursor-name.ts';
import {
  holdTag,
  parseTag,
  releaseStaleHolds,
  releaseStep,
  type Settled,
} from '../../../../../services/sender/bases/holds.ts';

const here: CursorTarget = { host: 'smos-00', dataset: 'zones/back' };
const elsewhere: CursorTarget = { host: 'smos-07', dataset: 'zones/back' };

test('each chain of a job has its own tag, which contains the job and its target', () => {
  expect(holdTag('abcdefghij', 0, here)).toMatch(/^zpsend:abcdefghij\.0\.[0-9a-f]{8}$/);
  for (let n = 0; n < 100; n += 1) {
    const id = newId();
    expect(parseTag(holdTag(id, n, here))).toEqual({ job: id, target: targetHash(here) });
  }
  expect(parseTag(holdTag('abcdefghij', 1, elsewhere))?.target).not.toBe(targetHash(here));
  expect(targetHash({ ...here, dataset: 'zones/b' })).not.toBe(targetHash(here));
});

test.each([
  'keep',
  'backup zpsend:abcdefghij',
  '.send-123',
  'zpsend:base',
  'zpsend:keep',
  'zpsend:keep-for-ever',
  'zpsend:KEEPFOREVE',
  'zpsend:abcdefghijk',
  'zpsend:abcdefghij.',
  'zpsend:abcdefghij.old',
  'zpsend:abcdefghij',
  'zpsend:abcdefghij.3',
  'zpsend:abcdefghij.3.0123abc',
  'zpsend:abcdefghij.3.0123abcd.',
])('a tag that a person may have chosen is not a job’s: %s', (tag) => {
  expect(parseTag(tag)).toBeUndefined();
});

describe('the release of holds', () => {
  const snapshot = (name: string, userrefs: number) => ({
    name,
    guid: name,
    createtxg: name,
    used: 0,
    referenced: 0,
    written: 0,
    userrefs,
  });
  const dataset = (name: string, snapshots: [string, number][], origin?: { name: string; guid?: string }) => ({
    name,
    type: 'filesystem' as const,
    guid: '1',
    createtxg: '1',
    used: 0,
    referenced: 0,
    written: 0,
    encryption: 'off',
    ...(origin && { origin }),
    snapshots: snapshots.map(([name, userrefs]) => snapshot(name, userrefs)),
    bookmarks: [],
  });

  async function swept(
    source: Inventory,
    holds: [string, string][],
    living: string[] | undefined,
    settled: Settled[] = source.datasets.map(({ name }) => ({ sourceDataset: name, targetDataset: here.dataset })),
    most = Number.POSITIVE_INFINITY,
    bare: string[] = [],
  ) {
    const doubted: string[] = [];
    const asked: string[][] = [];
    const released: string[] = [];
    const stop = new AbortController();
    const zfs: Pick<Zfs, 'holds' | 'release'> = {
      async holds(snapshots) {
        asked.push(snapshots);
        return holds.flatMap(([snapshot, tag]) => (snapshots.includes(snapshot) ? [{ snapshot, tag }] : []));
      },
      async release(tag, snapshots) {
        released.push(`${tag} ${snapshots}`);
        if (released.length >= most) stop.abort();
        return { missing: false };
      },
    };
    if (most === 0) stop.abort();
    await releaseStaleHolds(
      { zfs, log: logOf(pino({ enabled: false })) },
      {
        targetHost: here.host,
        source,
        settled,
        async markTentative({ to, targetDataset }) {
          doubted.push(`${to.name} ${to.guid} ${targetDataset}`);
          return bare.includes(to.name) ? to.name : undefined;
        },
        livingJobs: async () => living && new Set(living),
        signal: stop.signal,
      },
    );
    return { asked, released, doubted };
  }

  const dead = holdTag('deaddead01', 0, here);
  const ofChain = holdTag('deaddead01', 17, here);

  test('covers every chain of a dead job to its target, and no running job, other tags or other targets', async () => {
    const source = {
      host: 'smos-01',
      datasets: [
        dataset('a', [
          ['1', 2],
          ['2', 0],
        ]),
        dataset('a/b', [['1', 4]]),
      ],
    };
    const holds: [string, string][] = [
      ['a@1', dead],
      ['a@1', 'keep'],
      ['a/b@1', ofChain],
      ['a/b@1', holdTag('living0001', 0, here)],
      ['a/b@1', holdTag('living0001', 3, here)],
      ['a/b@1', holdTag('deaddead01', 0, elsewhere)],
    ];
    const { asked, released } = await swept(source, holds, ['living0001']);
    expect(asked).toEqual([['a@1', 'a/b@1']]);
    expect(released).toEqual([`${dead} a@1`, `${ofChain} a/b@1`]);
  });

  test('edge case 37: stops in a pool that is imported read-only, and logs no release', async () => {
    const said: string[] = [];
    const tried: string[][] = [];
    await releaseStaleHolds(
      {
        zfs: {
          holds: async (names) => names.map((snapshot) => ({ snapshot, tag: dead })),
          async release(_, names) {
            tried.push(names);
            throw new ZpsendError('READ_ONLY', 'no');
          },
        },
        log: logOf(pino({ level: 'info' }, { write: (line: string) => void said.push(line) })),
      },
      {
        targetHost: here.host,
        source: {
          host: 'smos-01',
          datasets: [
            dataset('a', [
              ['1', 1],
              ['2', 1],
            ]),
          ],
        },
        settled: [{ sourceDataset: 'a', targetDataset: here.dataset, common: { createtxg: '2' } }],
        markTentative: async () => undefined,
        livingJobs: async () => new Set(),
        signal: new AbortController().signal,
      },
    );
    expect([tried, said]).toEqual([[['a@1']], []]);
  });

  describe('I9: keeps every hold that is still needed', () => {
    const source = {
      host: 'smos-01',
      datasets: [dataset('a', [['1', 1]]), dataset('b', [['1', 1]]), dataset('c', [], { name: 'o@1', guid: '5' })],
    };
    const there = (name: string) => ({ host: here.host, dataset: `zones/${name}` });
    const to = (...names: string[]) => names.map((name) => ({ sourceDataset: name, targetDataset: `zones/${name}` }));
    const holds: [string, string][] = [
      ['a@1', holdTag('deaddead01', 0, there('a'))],
      ['b@1', holdTag('deaddead01', 1, there('b'))],
      ['o@1', holdTag('deaddead01', 2, there('c'))],
      // b was called a once, and went where the new a goes
      ['b@1', holdTag('deaddead00', 0, there('a'))],
    ];
    const released = async (...more: [ReturnType<typeof to>, number?]) =>
      (await swept(source, holds, [], ...more)).released.map((line) => line.split(' ')[1]);

    test('a dataset whose cursor could not be set keeps its holds', async () => {
      expect(await released(to('b'))).toEqual(['b@1']);
      expect(await released(to())).toEqual([]);
      expect(await released(to('a', 'b', 'c'))).toEqual(['a@1', 'b@1', 'o@1']);
      expect(await released(to('c'))).toEqual(['o@1']);
    });

    test('an aborted job releases no more holds', async () => {
      expect(await released(to('a', 'b', 'c'), 0)).toEqual([]);
      expect(await released(to('a', 'b', 'c'), 1)).toEqual(['a@1']);
    });
  });

  describe('a snapshot that its target may have received since it was listed', () => {
    const source = {
      host: 'smos-01',
      datasets: [
        dataset('a', [
          ['1', 1],
          ['2', 1],
        ]),
      ],
    };
    const holds: [string, string][] = [
      ['a@1', dead],
      ['a@2', dead],
    ];
    const to = (common?: string): Settled[] => [
      { sourceDataset: 'a', targetDataset: here.dataset, ...(common && { common: { createtxg: common } }) },
    ];

    test('gets a bookmark before its hold is released', async () => {
      const { doubted, released } = await swept(source, holds, [], to('1'));
      expect(doubted).toEqual([`a@2 2 ${here.dataset}`]);
      expect(released).toEqual([`${dead} a@1`, `${dead} a@2`]);
      expect((await swept(source, holds, [], to('2'))).doubted).toEqual([]);
    });

    test('is every held snapshot if the target was not listed', async () =>
      expect((await swept(source, holds, [], to())).doubted).toHaveLength(2));

    test('stays held if the bookmark fails', async () =>
      expect((await swept(source, holds, [], to('1'), undefined, ['a@2'])).released).toEqual([`${dead} a@1`]));
  });

  test('releases no hold if the running jobs are unknown', async () => {
    const source = { host: 'smos-01', datasets: [dataset('a', [['1', 1]])] };
    expect((await swept(source, [['a@1', dead]], undefined)).released).toEqual([]);
  });

  test('covers the origin of a clone also if that is not listed', async () => {
    const source = {
      host: 'smos-01',
      datasets: [
        dataset('a', [['1', 0]]),
        dataset('a/b', [], { name: 'a@1', guid: '1' }),
        dataset('a/c', [], { name: 'other@1', guid: '5' }),
        dataset('a/d', [], { name: 'other@1', guid: '5' }),
        dataset('a/e', [], { name: 'gone/@1' }),
      ],
    };
    const { asked, released } = await swept(source, [['other@1', ofChain]], []);
    expect(asked).toEqual([['other@1']]);
    expect(released).toEqual([`${ofChain} other@1`]);
  });

  test('runs no command if there are no holds', async () => {
    expect((await swept({ host: 'smos-01', datasets: [dataset('a', [['1', 0]])] }, [], [])).asked).toEqual([]);
  });
});

describe('the hold of a step', () => {
  const held = [
    { name: 'pool/a@1', guid: '11' },
    { name: 'pool/a@2', guid: '12' },
  ];
  async function released(missing: boolean) {
    const asked: string[][] = [];
    const zfs: Pick<Zfs, 'list' | 'release'> = {
      async list() {
        const snapshot = (name: string, guid: string, userrefs: number) => ({
          ...{ name, guid, userrefs, createtxg: '1', used: 0, referenced: 0, written: 0 },
        });
        const snapshots = [snapshot('1', '11', 1), snapshot('two', '12', 1), snapshot('3', '13', 1)];
        const entry = { type: 'filesystem' as const, guid: '1', createtxg: '1', used: 0, referenced: 0, written: 0 };
        return [{ ...entry, name: 'pool/moved', encryption: 'off', snapshots, bookmarks: [] }];
      },
      async release(_, snapshots) {
        asked.push(snapshots);
        return { missing };
      },
    };
    await releaseStep(zfs as Zfs, 'zpsend:abcdef', held, pino({ enabled: false }));
    return asked;
  }

  test('is released by the snapshot’s name, without a listing', async () => {
    expect(await released(false)).toEqual([['pool/a@1', 'pool/a@2']]);
  });

  test('is found by the snapshot’s guid after a rename', async () => {
    expect(await released(true)).toEqual([
      ['pool/a@1', 'pool/a@2'],
      ['pool/moved@1', 'pool/moved@two'],
    ]);
  });
});
