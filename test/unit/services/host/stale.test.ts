import { describe, expect, test } from 'vitest';
import { encodeToken } from '../../../../lib/zfs/resume-token.ts';
import { ZpsendError } from '../../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../../schemas/inventory.ts';
import type { StaleMark } from '../../../../schemas/stale.ts';
import { repair, staleReply } from '../../../../services/host/stale.ts';
import { sharesOf } from '../../../../services/receiver/admission/shares.ts';
import {
  findStaleMarks as findOfReceivers,
  repairStaleMark as repairOfReceiver,
} from '../../../../services/receiver/bases/stale.ts';
import { cursorName } from '../../../../services/sender/bases/cursor-name.ts';
import {
  findStaleMarks as findOfSenders,
  repairStaleMark as repairOfSender,
} from '../../../../services/sender/bases/stale.ts';
import { mentions } from '../../../support/mentions.ts';

/** Snapshots by name, with the number of their holds; the guid is the place. */
const dataset = (name: string, snapshots: Record<string, number>, more: Partial<DatasetEntry> = {}): DatasetEntry => ({
  ...{ name, type: 'filesystem', guid: '1', createtxg: '1', used: 0, referenced: 0, written: 0, encryption: 'off' },
  snapshots: Object.entries(snapshots).map(([leaf, userrefs], at) => ({
    ...{ name: leaf, guid: `${at}`, createtxg: `${at}`, used: 0, referenced: 0, written: 0, userrefs },
  })),
  bookmarks: [],
  ...more,
});

/** Jobs that a sender receives on the right NATS. */
const jobs = (living: Set<string> | undefined, known?: Set<string>) => ({
  living: async () => living,
  known: async () => known,
});

const zfsOf = (datasets: DatasetEntry[], held: [string, string][]) => ({
  list: async () => datasets,
  holds: async (names: string[]) =>
    held.flatMap(([snapshot, tag]) => (names.includes(snapshot) ? [{ snapshot, tag }] : [])),
});

const job = (snapshot: string, guid: string, tag: string): StaleMark => ({
  ...{ kind: 'step-hold', snapshot, guid, tag, job: tag.split(/[:.]/)[1] ?? '' },
});

const flags = { raw: false, largeBlock: false, embed: false, compressed: false };
const tokenOf = (toname: string): string =>
  encodeToken({ toname, toguid: '9', object: 1n, offset: 0n, bytes: 1n, flags });

describe('stale marks of senders', () => {
  const zfs = zfsOf(
    [dataset('a', { x: 2, y: 0 }), dataset('a/b', { x: 1, z: 1 })],
    [
      ['a@x', 'zpsend:deaddead01.3.0123abcd'],
      ['a@x', 'zpsend:living0001.0.0123abcd'],
      ['a/b@x', 'zpsend:base'],
      ['a/b@z', 'keep'],
    ],
  );

  test('include the holds of ended jobs, and no other holds', async () => {
    const found = await findOfSenders(zfs, jobs(new Set(['living0001'])));
    expect(found).toEqual({ staleMarks: [job('a@x', '0', 'zpsend:deaddead01.3.0123abcd')], notes: [] });
  });

  test('exclude holds if the running jobs are unknown, which is reported', async () => {
    const found = await findOfSenders(zfs, jobs(undefined));
    expect(found.staleMarks).toEqual([]);
    expect(found.notes).toMatchObject([{ about: 'unclear', found: mentions(2) }]);
  });

  test('exclude holds of jobs if this host’s service is absent from NATS, which is reported', async () => {
    const found = await findOfSenders(zfs, jobs(new Set(), new Set(['living0001'])));
    expect(found.staleMarks).toEqual([expect.objectContaining({ job: 'living0001' })]);
    expect(found.notes).toMatchObject([{ about: 'unclear', found: mentions('zpsend:deaddead01.3.0123abcd', 'a@x') }]);
  });

  test('include cursors that have a newer cursor of the same target', async () => {
    const mark = (guid: string, host: string) => ({
      name: cursorName('a', { host, dataset: 'a' }, guid)?.split('#')[1] ?? '',
      guid,
      createtxg: guid,
    });
    const bookmarks = [mark('1', 'one'), mark('1', 'two'), mark('2', 'one')];
    const { staleMarks } = await findOfSenders(zfsOf([dataset('a', {}, { bookmarks })], []), jobs(new Set()));
    expect(staleMarks).toEqual([
      { kind: 'cursor', bookmark: `a#${bookmarks[0]?.name}`, guid: '1', newer: `a#${bookmarks[2]?.name}` },
    ]);
  });
});

describe('stale marks of receivers', () => {
  const datasets = [
    dataset('t/a', { 1: 1, 2: 1, 3: 2, 4: 0 }),
    dataset('t/b', { 1: 1 }),
    dataset('t/b_diverged_7', { 5: 0, 6: 1 }),
    dataset('t/x_diverged_7', { 5: 1 }),
    dataset('t/c', {}, { resumeToken: tokenOf('s/c@9') }),
    dataset('t/d', {}, { resumeToken: '1-d' }),
  ];
  const zfs = {
    ...zfsOf(datasets, [
      ['t/a@1', 'zpsend:base'],
      ['t/a@2', 'mine'],
      ['t/a@3', 'zpsend:base'],
      ['t/a@3', 'mine'],
      ['t/b@1', 'zpsend:base'],
      ['t/b_diverged_7@6', 'zpsend:base'],
      ['t/x_diverged_7@5', 'zpsend:base'],
    ]),
    properties: async (names: string[]) =>
      new Map(names.map((name): [string, Record<string, string>] => [name, { setuid: 'on', devices: 'off' }])),
  };
  const look = (uid: number, busy: string[] = []) =>
    findOfReceivers({ zfs, places: ['t', 't'], uid, beingReceived: async () => new Set(busy) });

  test('include last-received holds that a newer hold replaces, also across a rotation; the newest hold stays, also below newer snapshots', async () => {
    const { staleMarks, notes } = await look(0);
    expect(staleMarks).toEqual([
      { kind: 'last-received-hold', snapshot: 't/a@1', guid: '0', tag: 'zpsend:base', newer: 't/a@3' },
      { kind: 'last-received-hold', snapshot: 't/b_diverged_7@6', guid: '1', tag: 'zpsend:base', newer: 't/b@1' },
    ]);
    expect(notes).toContainEqual(expect.objectContaining({ about: 'base', dataset: 't/a', found: mentions('@4') }));
  });

  test('exclude last-received holds that only the tag of another dataset’s hold names', async () => {
    const forging = {
      ...zfs,
      holds: async (names: string[]) => [
        ...(await zfs.holds(names)),
        // as a tag with line breaks on t/c would print it, wherever that is asked for
        ...(names.some((name) => !name.startsWith('t/b')) ? [{ snapshot: 't/b@9', tag: 'zpsend:base' }] : []),
      ],
    };
    const list = async () => [...datasets.filter(({ name }) => name !== 't/b'), dataset('t/b', { 1: 1, 9: 1 })];
    const found = await findOfReceivers({
      zfs: { ...forging, list },
      places: [],
      uid: 0,
      beingReceived: async () => new Set(),
    });
    expect(found.staleMarks.filter((one) => 'snapshot' in one && one.snapshot === 't/b@1')).toEqual([]);
    expect(found.staleMarks).toContainEqual(expect.objectContaining({ snapshot: 't/a@1', newer: 't/a@3' }));
  });

  test('include interrupted receives with their snapshot, and no running receive', async () => {
    const partial = ({ about }: { about: string }) => about === 'partial';
    expect((await look(0)).notes.filter(partial)).toMatchObject([
      { dataset: 't/c', found: mentions('s/c@9') },
      { dataset: 't/d', found: expect.not.stringContaining('@') },
    ]);
    expect((await look(0, ['t/c'])).notes.filter(partial)).toMatchObject([{ dataset: 't/d' }]);
  });

  test('an ordinary user is advised to switch off the properties that a received program could use', async () => {
    const delegated = ({ about }: { about: string }) => about === 'delegated';
    expect((await look(0)).notes.filter(delegated)).toEqual([]);
    const notes = (await look(1000)).notes.filter(delegated);
    expect(notes).toMatchObject([{ dataset: 't', remedy: mentions('zfs set setuid=off "t"') }]);
  });
});

describe('inherited shares of replicas', () => {
  const volume = { type: 'volume' as const };
  const datasets = ['t', 't/in', 't/in/a', 't/in/a/b', 't/in/c', 't/other'].map((name) => dataset(name, {}));
  const noted = (places: string[], values: Record<string, string>) =>
    sharesOf(
      {
        properties: async (names) =>
          new Map(
            names.map((name) => [name, { sharenfs: values[name] ?? 'off', sharesmb: values[`${name} smb`] ?? 'off' }]),
          ),
      },
      [...datasets, dataset('t/in/vol', {}, volume)],
      places,
    ).then((notes) => notes.map(({ dataset, remedy }) => [dataset, remedy.split(': ')[1]]));
  const all = { 't/in': 'on', 't/in/a': 'on', 't/in/a/b': 'on', 't/in/c': 'on' };

  test('edge case 33: are reported once, at the topmost dataset that has them', async () => {
    expect(await noted(['t/in', 't/in'], all)).toEqual([['t/in', 'zfs set sharenfs=off "t/in"']]);
    expect(await noted(['t'], { ...all, t: 'rw=@10.0.0.0/8' })).toEqual([['t', 'zfs set sharenfs=off "t"']]);
  });

  test('are reported for one replica, filesystem or volume, and for a dataset that does not exist yet', async () => {
    expect(await noted(['t/in'], { 't/in/a/b': 'on', 't/in/c smb': 'on' })).toEqual([
      ['t/in/a/b', 'zfs set sharenfs=off "t/in/a/b"'],
      ['t/in/c', 'zfs set sharesmb=off "t/in/c"'],
    ]);
    expect(await noted(['t/new/deep'], { t: 'on' })).toEqual([['t', 'zfs set sharenfs=off "t"']]);
  });

  test('are not reported where sources may not write', async () => {
    expect(await noted(['t/in'], { 't/other': 'on' })).toEqual([]);
    expect(await noted(['u'], all)).toEqual([]);
    expect(await noted([], all)).toEqual([]);
  });
});

describe('a repair', () => {
  const [one, two] = [job('a@1', '1', 'zpsend:deaddead01.0.0123abcd'), job('a@2', '2', 'zpsend:deaddead01.0.0123abcd')];
  const look = async () => ({ staleMarks: [one, two], notes: [] });

  test('changes only the requested marks, and of these only those that are still stale', async () => {
    const did: StaleMark[] = [];
    const other = job('a@1', '7', 'zpsend:deaddead01.0.0123abcd');
    const repaired = await repair('h', [one, other], look, async (staleMark) => void did.push(staleMark));
    expect(did).toEqual([one]);
    expect(repaired).toMatchObject({ repaired: [one], notRepaired: [{ staleMark: other }] });
  });

  test('continues after a failure, and reports the marks that it could not repair', async () => {
    const refuse = async (staleMark: StaleMark) => {
      if (staleMark === one) throw new ZpsendError('NOT_ALLOWED', 'permission denied');
    };
    expect(await repair('h', [one, two], look, refuse)).toEqual({
      ...{ host: 'h', repaired: [two], notRepaired: [{ staleMark: one, why: 'permission denied' }] },
    });
  });

  test('of a sender touches no hold of a receiver, nor a receiver’s repair one of a sender', async () => {
    const did: string[] = [];
    const zfs = {
      async release(tag: string, [name]: string[]) {
        did.push(`${tag} ${name}`);
        return { missing: false };
      },
      bookmark: async (name: string, mark: string) => void did.push(`${name} ${mark}`),
      destroyBookmark: async (name: string) => void did.push(`-${name}`),
    };
    const base: StaleMark = {
      kind: 'last-received-hold',
      snapshot: 't@1',
      guid: '1',
      tag: 'zpsend:base',
      newer: 't@2',
    };
    const cursor: StaleMark = { kind: 'cursor', bookmark: 'a#zpsend_x', guid: '1', newer: 'a#zpsend_y' };
    await expect(repairOfSender(zfs, base, true)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    for (const staleMark of [one, cursor, { ...base, tag: 'zpsend:deaddead01.0.0123abcd' }]) {
      await expect(repairOfReceiver(zfs, staleMark)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    }
    await repairOfSender(zfs, one, false);
    await repairOfSender(zfs, cursor, false);
    await repairOfReceiver(zfs, base);
    expect(did).toEqual(['zpsend:deaddead01.0.0123abcd a@1', '-a#zpsend_x', 'zpsend:base t@1']);
  });

  test('creates a bookmark before it releases a hold, and keeps the hold if the bookmark fails', async () => {
    const did: string[] = [];
    const zfs = {
      async release(tag: string, [name]: string[]) {
        did.push(`release ${tag} ${name}`);
        return { missing: false };
      },
      bookmark: async (name: string, mark: string) => void did.push(`bookmark ${name} ${mark}`),
      destroyBookmark: async () => {},
    };
    await repairOfSender(zfs, one, true);
    expect(did).toEqual(['bookmark a@1 a#zpsend_0123abcd_1', 'release zpsend:deaddead01.0.0123abcd a@1']);
    const refusing = {
      ...zfs,
      async bookmark() {
        throw new ZpsendError('UNSUPPORTED', 'feature is disabled');
      },
    };
    await expect(repairOfSender(refusing, two, true)).rejects.toMatchObject({
      message: mentions('feature is disabled', 'zfs release zpsend:deaddead01.0.0123abcd a@2'),
    });
    expect(did).toHaveLength(2);
  });

  test('cuts a list that is too long for one message, and counts the rest', () => {
    const many = Array.from({ length: 3000 }, (_, at) => job(`a@${at}`, `${at}`, 'zpsend:deaddead01.0.0123abcd'));
    const reply = staleReply('h', { staleMarks: many, notes: [] }, 65536);
    expect(reply.staleMarks.length + reply.more).toBe(3000);
    expect(reply.staleMarks.length).toBeGreaterThan(20);
    expect(JSON.stringify(reply).length).toBeLessThan(65536 / 2);
    expect(staleReply('h', { staleMarks: many, notes: [] }, 2 ** 26).staleMarks).toHaveLength(1000);
  });
});
