import pino from 'pino';
import { describe, expect, test } from 'vitest';
import { type Code, ZpsendError } from '../../../../../schemas/errors.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { oldBases } from '../../../../../services/receiver/bases/last-received-hold.ts';
import { openLastReceivedHolds } from '../../../../../services/receiver/bases/last-received-holds.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

/** A dataset t with the snapshots 1 to 9, whose guids are their names; `held` has the last-received holds. */
function receiver(held: Set<string>, refuses?: Code) {
  const did: string[] = [];
  const lines: string[] = [];
  const entry = () => ({
    ...{ name: 't', type: 'filesystem' as const, guid: '1', createtxg: '1', used: 0, referenced: 0, written: 0 },
    encryption: 'off',
    bookmarks: [],
    snapshots: Array.from('123456789', (name) => ({
      ...{ name, guid: name, createtxg: name, used: 0, referenced: 0, written: 0 },
      userrefs: held.has(`t@${name}`) ? 1 : 0,
    })),
  });
  const holds = openLastReceivedHolds({
    zfs: {
      async hold(_, names) {
        if (refuses) throw new ZpsendError(refuses, 'no');
        did.push(`hold ${names}`);
        for (const name of names) held.add(name);
      },
      async release(_, names) {
        did.push(`release ${names}`);
        for (const name of names) held.delete(name);
        return { missing: false };
      },
      async list({ dataset = 't' }) {
        did.push('list');
        return [{ ...entry(), name: dataset }];
      },
      holds: async (names) => names.map((snapshot) => ({ snapshot, tag: 'zpsend:base' })),
    },
    log: logOf(pino({ level: 'info' }, { write: (line: string) => void lines.push(line) })),
    // only a flush moves a hold
    clock: manualClock(),
  });
  const receive = (name: string, from?: string) =>
    holds.received({
      targetDataset: 't',
      to: { name: `s@${name}`, guid: name },
      ...(from && { from: { guid: from } }),
    });
  return { holds, receive, did, lines, held };
}

describe('a received snapshot', () => {
  test('is held before the holds that it replaces are released; of several snapshots only the last is held', async () => {
    const { holds, receive, did, held } = receiver(new Set(['t@1', 't@2']));
    receive('3');
    receive('4', '3');
    await holds.flush();
    expect(did).toEqual(['hold t@4', 'list', 'release t@1,t@2']);
    expect([...held]).toEqual(['t@4']);
  });

  test('whose older dataset was renamed releases the holds of that dataset', async () => {
    const { holds, did } = receiver(new Set(['t@2']));
    const before = { kind: 'rename' as const, from: 't', to: 't_diverged_2', guid: '1' };
    holds.received({ targetDataset: 't', to: { name: 's@3', guid: '3' }, before });
    await holds.flush();
    expect(did).toEqual(['hold t@3', 'list', 'release t_diverged_2@2,t_diverged_2@3', 'list', 'release t@2']);
  });

  test('that is a clone of the renamed dataset releases its holds too, and so does one that moved with it', async () => {
    const { holds, receive, did } = receiver(new Set(['t@2']));
    receive('2');
    holds.received({
      targetDataset: 't',
      to: { name: 's@3', guid: '3' },
      from: { guid: '2' },
      origin: 't_diverged_2@2',
    });
    receive('4', '3');
    await holds.flush();
    expect(did.slice(0, 3)).toEqual(['hold t@4', 'list', 'release t_diverged_2@2,t_diverged_2@4']);
  });

  test('that cannot be held releases the holds of a renamed dataset nevertheless', async () => {
    const { holds, did } = receiver(new Set(['t@2']), 'NO_SPACE');
    holds.received({
      targetDataset: 't',
      to: { name: 's@3', guid: '3' },
      from: { guid: '2' },
      origin: 't_diverged_2@2',
    });
    await holds.flush();
    expect(did).toEqual(['list', 'release t_diverged_2@2']);
  });

  test('that follows a snapshot held by this receiver needs no listing', async () => {
    const { holds, receive, did } = receiver(new Set());
    receive('1');
    await holds.flush();
    receive('2', '1');
    receive('3', '2');
    await holds.flush();
    expect(did).toEqual(['hold t@1', 'list', 'hold t@3', 'release t@1']);
  });

  test('that has the name of the previous snapshot, which was renamed, stays held', async () => {
    const { holds, receive, held } = receiver(new Set());
    receive('2');
    await holds.flush();
    held.delete('t@2');
    held.add('t@1');
    holds.received({ targetDataset: 't', to: { name: 's@2', guid: 'another' }, from: { guid: '2' } });
    await holds.flush();
    expect([...held]).toEqual(['t@2']);
  });

  test.each([
    ['before it', [['5', '4']]],
    [
      'in between',
      [
        ['2', '1'],
        ['5', '4'],
      ],
    ],
  ])('with another receiver’s %s is listed again', async (_, received) => {
    const { holds, receive, held } = receiver(new Set());
    receive('1');
    await holds.flush();
    held.add('t@4');
    for (const [to = '', from] of received) receive(to, from);
    await holds.flush();
    expect([...held]).toEqual(['t@5']);
  });

  test('whose hold is late gives way to a newer one', async () => {
    const { holds, receive, held } = receiver(new Set(['t@7']));
    receive('6', '5');
    await holds.flush();
    expect([...held]).toEqual(['t@7']);
  });

  test('that cannot be held leaves the old hold, and is logged once', async () => {
    const { holds, receive, did, lines } = receiver(new Set(['t@1']), 'NOT_ALLOWED');
    for (const [to = '', from] of [
      ['2', '1'],
      ['3', '2'],
    ]) {
      receive(to, from);
      await holds.flush();
    }
    expect(did).toEqual([]);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ event: 'hold.failed', code: 'NOT_ALLOWED' }]);
  });
});

test('the hold moves two seconds after the last receive, and after half a minute while receives continue', async () => {
  const clock = manualClock();
  const held: string[] = [];
  const holds = openLastReceivedHolds({
    zfs: {
      hold: async (_, names) => void held.push(...names),
      release: async () => ({ missing: false }),
      list: async () => [],
      holds: async () => [],
    },
    log: logOf(pino({ enabled: false })),
    clock,
  });
  const receive = (name: string) => holds.received({ targetDataset: 't', to: { name: `s@${name}`, guid: name } });
  receive('1');
  await clock.advance(1999);
  expect(held).toEqual([]);
  await clock.advance(1);
  expect(held).toEqual(['t@1']);
  receive('2');
  holds.began('t');
  await clock.advance(29_999);
  expect(held).toEqual(['t@1']);
  await clock.advance(1);
  expect(held).toEqual(['t@1', 't@2']);
  for (let at = 0; at <= 20; at++) {
    receive(`3-${at}`);
    await clock.advance(1500);
  }
  expect(held).toEqual(['t@1', 't@2', 't@3-19']);
});

test('all last-received holds but the newest are stale', () => {
  const snapshot = (name: string) => ({
    ...{ name, guid: name, createtxg: name, used: 0, referenced: 0, written: 0, userrefs: 1 },
  });
  const dataset = {
    ...{ name: 't', type: 'volume' as const, guid: '1', createtxg: '1', used: 0, referenced: 0, written: 0 },
    ...{ encryption: 'off', bookmarks: [], snapshots: ['1', '2', '3', '4'].map(snapshot) },
  };
  const old = (...names: string[]) => oldBases(dataset, new Set(names)).map(({ snapshot: { name } }) => name);
  expect(old('t@1', 't@3')).toEqual(['1']);
  expect(old('t@2')).toEqual([]);
  expect(old()).toEqual([]);
});
