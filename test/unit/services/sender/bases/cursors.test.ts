import pino from 'pino';
import { describe, expect, test } from 'vitest';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { type Code, ZpsendError } from '../../../../../schemas/errors.ts';
import type { BookmarkEntry, DatasetEntry } from '../../../../../schemas/inventory.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { cursorName, targetHash, tentativeCursorName } from '../../../../../services/sender/bases/cursor-name.ts';
import { openCursors } from '../../../../../services/sender/bases/cursors.ts';

const to = { host: 'smos-00', dataset: 'tank/a' };
const cursor = (guid: string, dataset = 'pool/a'): string => cursorName(dataset, to, guid) ?? '';
const mark = (guid: string): BookmarkEntry => ({ name: cursor(guid).split('#')[1] ?? '', guid, createtxg: guid });

const entry = (name: string, guids: string[], bookmarks: BookmarkEntry[] = []): DatasetEntry => ({
  ...{ name, type: 'filesystem', guid: '1', createtxg: '1', used: 0, referenced: 0, written: 0, encryption: 'off' },
  snapshots: guids.map((guid) => ({
    ...{ name: `s${guid}`, guid, createtxg: guid, used: 0, referenced: 0, written: 0, userrefs: 0 },
  })),
  bookmarks,
});

/** One job of pool/a to tank/a; `clock.now` is the time, and `did` has the zfs commands. */
function job(options: { refuses?: (name: string) => Code | undefined; now?: Record<string, string> } = {}) {
  const did: string[] = [];
  const said: string[] = [];
  const clock = { now: 0 };
  const stop = new AbortController();
  const refuse = (name: string) => {
    const code = options.refuses?.(name);
    if (code) throw new ZpsendError(code, 'no');
  };
  const cursors = openCursors({
    zfs: {
      async bookmark(snapshot, bookmark) {
        refuse(bookmark);
        did.push(`${snapshot} ${bookmark}`);
      },
      inspect: async (names) =>
        names.map((name) => {
          const guid = options.now?.[name] ?? name.split('@s')[1] ?? '';
          return { name, type: 'snapshot' as const, guid, createtxg: guid, written: 0, userrefs: 0 };
        }),
      async destroyBookmark(bookmark) {
        refuse(`-${bookmark}`);
        did.push(`-${bookmark}`);
      },
    },
    log: logOf(pino({ level: 'info' }, { write: (line: string) => void said.push(line) })),
    targetHost: to.host,
    signal: stop.signal,
    clock: { now: () => clock.now },
  });
  const plan: DatasetPlan = { sourceDataset: 'pool/a', targetDataset: 'tank/a', steps: [] };
  /** @returns whether the holds are not needed any more */
  const listed = async (source: DatasetEntry, ...target: DatasetEntry[]) => {
    const settled = await cursors.ensure({
      plans: { datasets: [plan], notes: [] },
      source: { host: 'smos-01', datasets: [source] },
      target: { host: 'smos-00', datasets: target },
    });
    return settled.some(({ sourceDataset }) => sourceDataset === plan.sourceDataset);
  };
  return { cursors, did, said, clock, stop, listed };
}

const step = (guid: string) => ({ to: { name: `pool/a@s${guid}`, guid }, targetDataset: 'tank/a' });

describe('before a job starts', () => {
  test('a missing cursor is made of the newest common snapshot', async () => {
    const { did, listed } = job();
    await listed(entry('pool/a', ['1', '2', '3']), entry('tank/a', ['1', '2']));
    expect(did).toEqual([`pool/a@s2 ${cursor('2')}`]);
  });

  test('an existing cursor costs no command', async () => {
    const { did, listed } = job();
    await listed(entry('pool/a', ['1', '2', '3'], [mark('2')]), entry('tank/a', ['1', '2']));
    expect(did).toEqual([]);
  });

  test('an older cursor that a crash left is removed', async () => {
    const { did, listed } = job();
    await listed(entry('pool/a', ['1', '2'], [mark('1'), mark('2')]), entry('tank/a', ['1', '2']));
    expect(did).toEqual([`pool/a@s2 ${cursor('2')}`, `-${cursor('1')}`]);
  });

  test('a newer cursor stays: another job set it since the listing, or the target was rolled back', async () => {
    const { did, listed } = job();
    await listed(entry('pool/a', ['1', '2', '3'], [mark('3')]), entry('tank/a', ['1', '2']));
    // a tentative name, which is never stale
    expect(did).toEqual([`pool/a@s2 ${tentativeCursorName('pool/a@s2', targetHash(to), '2')}`]);
  });

  test('a cursor is made of a base bookmark that another program may remove', async () => {
    const { did, listed } = job();
    const others = { name: 'weekly', guid: '2', createtxg: '2' };
    expect(await listed(entry('pool/a', ['3'], [others]), entry('tank/a', ['1', '2']))).toBe(true);
    expect(did).toEqual([`pool/a#weekly ${cursor('2')}`]);
  });

  test('a cursor that is the base of a rolled-back target becomes tentative', async () => {
    const { did, listed } = job();
    await listed(entry('pool/a', ['4'], [mark('2'), mark('3')]), entry('tank/a', ['1', '2']));
    expect(did).toEqual([`${cursor('2')} ${tentativeCursorName('pool/a@s2', targetHash(to), '2')}`]);
  });

  test('a cursor that is the base stays if its snapshot is gone', async () => {
    const { did, listed } = job();
    await listed(entry('pool/a', ['3'], [mark('2')]), entry('tank/a', ['1', '2']));
    expect(did).toEqual([]);
  });

  test('no cursor is made for a dataset of the same name with other guids', async () => {
    const { did, listed } = job();
    await listed(entry('pool/a', ['11', '12']), entry('tank/a', ['1', '2']));
    expect(did).toEqual([]);
  });

  test('no cursor is made after the job is aborted, and the holds stay', async () => {
    const { did, listed, stop } = job();
    stop.abort();
    expect(await listed(entry('pool/a', ['1']), entry('tank/a', ['1']))).toBe(false);
    expect(did).toEqual([]);
  });

  test.each<[string, string[], BookmarkEntry[], DatasetEntry[], boolean, Code?]>([
    ['its cursor is there', ['1'], [mark('1')], [entry('tank/a', ['1'])], true],
    ['its cursor was made', ['1'], [], [entry('tank/a', ['1'])], true],
    ['there is no target', ['1'], [], [], true],
    ['nothing is common', ['1'], [], [entry('tank/a', ['2'])], true],
    ['a bookmark is the base', ['2'], [mark('1')], [entry('tank/a', ['1'])], true],
    ['there may be no bookmarks', ['1'], [], [entry('tank/a', ['1'])], true, 'NOT_ALLOWED'],
    ['there are no bookmarks in its pool', ['1'], [], [entry('tank/a', ['1'])], true, 'UNSUPPORTED'],
    ['ZFS took too long', ['1'], [], [entry('tank/a', ['1'])], false, 'TIMEOUT'],
    ['the pool is full', ['1'], [], [entry('tank/a', ['1'])], false, 'NO_SPACE'],
  ])('I9: if %s, can a killed job’s holds be released?', async (_, snapshots, marks, target, free, code) => {
    const { listed } = job({ refuses: () => code });
    expect(await listed(entry('pool/a', snapshots, marks), ...target)).toBe(free);
  });
});

describe('a step whose end is unknown', () => {
  const inDoubt = (guid: string) => tentativeCursorName(`pool/a@s${guid}`, targetHash(to), guid);

  test('has a tentative cursor, which is removed with the next one', async () => {
    const { did, listed, cursors } = job();
    await listed(entry('pool/a', ['2', '3', '4'], [mark('2')]), entry('tank/a', ['2']));
    const chain = cursors.chain();
    expect(await chain.markTentative(step('3'))).toBeUndefined();
    expect(did).toEqual([`pool/a@s3 ${inDoubt('3')}`]);
    chain.arrived(step('4'));
    await chain.settle(false);
    expect(did.slice(1)).toEqual([`pool/a@s4 ${cursor('4')}`, `-${cursor('2')}`, `-${inDoubt('3')}`]);
  });

  test('has no cursor of another snapshot under its name', async () => {
    const { did, cursors } = job({ now: { 'pool/a@s3': '33' } });
    expect(await cursors.chain().markTentative(step('3'))).toBeUndefined();
    expect(did).toEqual([]);
  });

  test.each<[Code, string | undefined]>([
    ['NO_SPACE', 'pool/a@s3'],
    ['TIMEOUT', 'pool/a@s3'],
    ['NOT_ALLOWED', undefined],
    ['UNSUPPORTED', undefined],
  ])('is held if its cursor could not be set: %s', async (code, held) => {
    const chain = job({ refuses: () => code }).cursors.chain();
    expect(await chain.markTentative(step('3'))).toBe(held);
  });
});

describe('the cursor of a chain', () => {
  test('moves at the end of the chain, after the new one is made; older listed ones are removed', async () => {
    const { did, listed, cursors } = job();
    await listed(entry('pool/a', ['2', '3'], [mark('2'), mark('9')]), entry('tank/a', ['2']));
    const chain = cursors.chain();
    chain.arrived(step('3'));
    await chain.settle(false);
    // while a later cursor exists, that of the target is tentative, which is never stale
    const marked = tentativeCursorName('pool/a@s2', targetHash(to), '2');
    expect(did).toEqual([
      `pool/a@s2 ${marked}`,
      `pool/a@s3 ${cursor('3')}`,
      ...[cursor('2'), cursor('9'), marked].map((name) => `-${name}`),
    ]);
  });

  test('moves at most every thirty seconds during the chain', async () => {
    const { did, cursors, clock } = job();
    const chain = cursors.chain();
    for (let guid = 1; guid <= 25; guid++) {
      clock.now += 3000;
      chain.arrived(step(`${guid}`));
      await chain.settle(guid < 25);
    }
    expect(did).toEqual([
      `pool/a@s10 ${cursor('10')}`,
      `pool/a@s20 ${cursor('20')}`,
      `-${cursor('10')}`,
      `pool/a@s25 ${cursor('25')}`,
      `-${cursor('20')}`,
    ]);
  });

  test('that cannot be set leaves the last arrived snapshot held, and is set at the next opportunity', async () => {
    let code: Code | undefined = 'NO_SPACE';
    const { did, cursors } = job({ refuses: () => code });
    const chain = cursors.chain();
    chain.arrived(step('1'));
    expect(await chain.settle(false)).toBe('pool/a@s1');
    code = undefined;
    expect(await chain.settle(false)).toBeUndefined();
    expect(did).toEqual([`pool/a@s1 ${cursor('1')}`]);
    expect(await chain.settle(false)).toBeUndefined();
    expect(did).toHaveLength(1);
  });

  test.each<Code>(['NOT_ALLOWED', 'NO_SUCH_SNAPSHOT', 'NO_SUCH_DATASET'])(
    'that can never be set leaves no hold: %s',
    async (code) => {
      const { cursors } = job({ refuses: () => code });
      const chain = cursors.chain();
      chain.arrived(step('1'));
      expect(await chain.settle(false)).toBeUndefined();
    },
  );

  test('that was set before is not removed if the target was rolled back and received its snapshot again', async () => {
    const { did, listed, cursors } = job();
    await listed(entry('pool/a', ['2', '3'], [mark('3')]), entry('tank/a', ['2']));
    const chain = cursors.chain();
    chain.arrived(step('3'));
    await chain.settle(false);
    expect(did).not.toContain(`-${cursor('3')}`);
  });

  test('stays if no snapshot has arrived', async () => {
    const { did, cursors } = job();
    await cursors.chain().settle(false);
    expect(did).toEqual([]);
  });

  test('stays if ZFS refuses the new one, which is logged once', async () => {
    const { did, said, listed, cursors } = job({ refuses: () => 'NOT_ALLOWED' });
    await listed(entry('pool/a', ['1', '2'], [mark('1')]), entry('tank/a', ['1']));
    for (const guid of ['2', '3']) {
      const chain = cursors.chain();
      chain.arrived(step(guid));
      await chain.settle(false);
    }
    expect(did).toEqual([]);
    expect(said).toHaveLength(1);
    expect(JSON.parse(said[0] ?? '')).toMatchObject({ event: 'cursor.failed', code: 'NOT_ALLOWED' });
  });

  test('is not tried again in a pool without the feature', async () => {
    let asked = 0;
    const refuses = (): Code => {
      asked += 1;
      return 'UNSUPPORTED';
    };
    const { cursors } = job({ refuses });
    for (const guid of ['2', '3']) {
      const chain = cursors.chain();
      chain.arrived(step(guid));
      await chain.settle(false);
    }
    expect(asked).toBe(1);
  });

  test('keeps at most sixteen old ones that cannot be removed', async () => {
    const old = Array.from({ length: 16 }, (_, at) => mark(`${at + 1}`));
    const { did, listed, cursors } = job({ refuses: (name) => (name.startsWith('-') ? 'NOT_ALLOWED' : undefined) });
    await listed(entry('pool/a', ['20', '21'], [...old.slice(0, 15), mark('20')]), entry('tank/a', ['20']));
    const chain = cursors.chain();
    chain.arrived(step('21'));
    await chain.settle(false);
    expect(did.filter((line) => line.includes(cursor('21')))).toEqual([]);
  });

  test('does not exist for a dataset whose name leaves no room', async () => {
    const { did, said, cursors } = job();
    const chain = cursors.chain();
    chain.arrived({ to: { name: `pool/${'x'.repeat(235)}@s1`, guid: '123456789012' }, targetDataset: 'tank/a' });
    await chain.settle(false);
    expect(did).toEqual([]);
    expect(said.map((line) => JSON.parse(line).event)).toEqual(['cursor.name-too-long']);
  });
});

describe('in a pool that is imported read-only', () => {
  test('edge case 37: one refusal is enough, no warning is logged, and the next job tries again', async () => {
    const { cursors, did, said, listed } = job({ refuses: () => 'READ_ONLY' });
    // a killed job’s holds stay: they may be needed once the pool is writable
    expect(await listed(entry('pool/a', ['1', '2', '3']), entry('tank/a', ['1', '2']))).toBe(false);
    const chain = cursors.chain();
    chain.arrived(step('3'));
    expect(await chain.settle(false)).toBe('pool/a@s3');
    expect(await chain.markTentative(step('3'))).toBe('pool/a@s3');
    expect([did, said]).toEqual([[], []]);
    const anew = job();
    expect(await anew.listed(entry('pool/a', ['1', '2', '3']), entry('tank/a', ['1', '2']))).toBe(true);
  });

  test('no second command is tried', async () => {
    let tries = 0;
    const { cursors } = job({
      refuses: () => {
        tries += 1;
        return 'READ_ONLY';
      },
    });
    const chain = cursors.chain();
    for (const guid of ['1', '2', '3']) {
      chain.arrived(step(guid));
      await chain.settle(false);
    }
    expect(tries).toBe(1);
  });
});
