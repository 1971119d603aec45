import { describe, expect, test } from 'vitest';
import type { BucketTrace } from '../../../../../lib/bus/jetstream/kv-bucket.ts';
import { foundIn, nothingFound } from '../../../../../lib/bus/locks/found.ts';
import { settlesWithinMs } from '../../../../../lib/bus/locks/lease-state.ts';
import { openOwnWrites } from '../../../../../lib/bus/locks/own-writes.ts';
import { hashOfTransfer } from '../../../../../lib/bus/locks/transfer-hash.ts';
import { type FoundKey, settlingMs, type Taking } from '../../../../../lib/bus/locks/vacancy.ts';
import { timing } from '../../../../../lib/time/timing.ts';

const whole = settlesWithinMs;
/** The server's clock before the lock was written. */
const now = Date.parse('2026-11-30T12:00:00Z');
const created = (ago: number): string => new Date(now - ago).toISOString();
const old = created(3_600_000);

/** Revision 40 is the last one, so the lock gets 41. */
const before: BucketTrace = {
  created: old,
  now,
  oldestGoFirst: true,
  oldest: undefined,
  oldestRevision: 41,
  newest: now - 60_000,
  lastRevision: 40,
};
const after: BucketTrace = { ...before, oldest: now, oldestRevision: 41, newest: now, lastRevision: 41 };
const busy: BucketTrace = { ...before, newest: now - 1000 };
const withOlder: BucketTrace = { ...after, oldest: now - 10_000, oldestRevision: 7 };
const open = { oldestGoFirst: false };

type Key = FoundKey['kind'] | 'removed long ago';
const keys: Record<Key, FoundKey> = {
  nothing: { kind: 'nothing' },
  released: { kind: 'released' },
  removed: { kind: 'removed', age: 500 },
  'removed long ago': { kind: 'removed', age: whole },
};

type Bucket =
  | 'is quiet'
  | 'was written to just now'
  | 'was written to in between'
  | 'holds an older entry'
  | 'holds an older entry, and was written to in between'
  | 'holds an older entry, and lets entries be taken away'
  | 'holds an older entry, and let entries be taken away'
  | 'holds an older entry, and lets entries be taken away now'
  | 'holds a younger entry'
  | 'holds what was written after the lock'
  | 'is quiet, and lets entries be taken away'
  | 'is new'
  | 'is new, and was never written to'
  | 'was never written to'
  | 'was made again in between'
  | 'cannot be read again'
  | 'tells no time'
  | 'tells not when it was written to';
const buckets: Record<Bucket, Pick<Taking, 'before' | 'after'> & { revision?: number }> = {
  'is quiet': { before, after },
  'was written to just now': { before: { ...before, newest: now - 1000 }, after },
  'was written to in between': { before, after: { ...after, lastRevision: 42 }, revision: 42 },
  'holds an older entry': { before: busy, after: withOlder },
  'holds an older entry, and was written to in between': {
    before: busy,
    after: { ...withOlder, lastRevision: 42 },
    revision: 42,
  },
  'holds an older entry, and lets entries be taken away': {
    before: { ...busy, ...open },
    after: { ...withOlder, ...open },
  },
  'holds an older entry, and let entries be taken away': { before: { ...busy, ...open }, after: withOlder },
  'holds an older entry, and lets entries be taken away now': { before: busy, after: { ...withOlder, ...open } },
  'holds a younger entry': { before: busy, after: { ...after, oldest: now - 2000, oldestRevision: 39 } },
  'holds what was written after the lock': {
    before: busy,
    after: { ...after, oldest: now - 10_000, oldestRevision: 42, lastRevision: 42 },
  },
  'is quiet, and lets entries be taken away': { before: { ...before, ...open }, after: { ...after, ...open } },
  'is new': {
    before: { ...before, created: created(200), newest: now - 100, lastRevision: 1 },
    after: { ...after, created: created(200) },
  },
  'is new, and was never written to': {
    before: { ...before, created: created(200), newest: undefined, lastRevision: 0 },
    after: { ...after, created: created(200) },
  },
  'was never written to': {
    before: { ...before, newest: undefined, lastRevision: 0 },
    after: { ...after, lastRevision: 1 },
  },
  'was made again in between': {
    before: { ...before, newest: undefined, lastRevision: 0 },
    after: { ...after, created: created(0) },
  },
  'cannot be read again': { before, after: undefined },
  'tells no time': { before: { ...before, now: undefined }, after: { ...after, now: undefined } },
  'tells not when it was written to': { before: { ...before, newest: undefined }, after },
};

/** What a new lock waits for if its key had no entry; a marker is sufficient evidence. */
const afterNothing: Record<Bucket, number> = {
  'is quiet': 0,
  'was written to just now': whole - 1000,
  'was written to in between': whole,
  'holds an older entry': 0,
  'holds an older entry, and was written to in between': 0,
  'holds an older entry, and lets entries be taken away': whole - 1000,
  'holds an older entry, and let entries be taken away': whole - 1000,
  'holds an older entry, and lets entries be taken away now': whole - 1000,
  'holds a younger entry': whole - 2000,
  'holds what was written after the lock': whole - 1000,
  'is quiet, and lets entries be taken away': 0,
  'is new': whole - 100,
  'is new, and was never written to': whole - 200,
  'was never written to': 0,
  'was made again in between': whole,
  'cannot be read again': whole,
  'tells no time': whole,
  'tells not when it was written to': whole,
};

const table: Record<Key, (bucket: Bucket) => number> = {
  nothing: (bucket) => afterNothing[bucket],
  released: () => 0,
  removed: () => whole - 500,
  'removed long ago': () => 0,
};

describe.each(Object.keys(keys) as Key[])('I13: a lock whose key was %s', (key) => {
  test.each(Object.keys(buckets) as Bucket[])('in a bucket that %s', (bucket) => {
    const unbroken = !bucket.endsWith('written to in between');
    const taking = { found: keys[key], revision: 41, ...buckets[bucket], unbroken };
    const waits = table[key](bucket);
    expect(settlingMs({ ...taking, setForward: 0 })).toBe(waits);
    // an entry that seems an hour old may be new
    expect(settlingMs({ ...taking, setForward: 3_600_000 })).toBe(key === 'released' ? 0 : whole);
  });
});

test('I13: a new holder gets a lock only after the last one has renewed, stopped, or noticed the loss', () => {
  expect(timing.locks.renewsWithinMs).toBeLessThan(timing.locks.actsWithinMs);
  expect(timing.locks.actsWithinMs).toBeLessThan(settlesWithinMs);
});

describe('a write of this process', () => {
  const trace = (lastRevision: number, newest = now): BucketTrace => ({ ...before, lastRevision, newest });

  test('does not count as that of another holder', () => {
    const own = openOwnWrites();
    expect(own.without(trace(40, now - 9000)).newest).toBe(now - 9000);
    for (const revision of [41, 42, 43]) own.note(revision);
    expect(own.without(trace(43)).newest).toBe(now - 9000);
  });
  test('does not hide writes of others before, in between or after', () => {
    const own = openOwnWrites();
    own.without(trace(40, now - 9000));
    for (const revision of [41, 43]) own.note(revision);
    expect(own.without(trace(43)).newest, 'revision 42 is not ours').toBe(now);
    expect(own.without(trace(43, now + 1)).newest, 'and is not younger at the next look').toBe(now);
    expect(own.without(trace(44, now + 5)).newest).toBe(now + 5);
  });
  test('proves nothing about a bucket that was never read before', () => {
    const own = openOwnWrites();
    own.note(41);
    expect(own.without(trace(41)).newest).toBe(now);
  });
  test('counts only for one bucket, not for a later one of the same name', () => {
    const own = openOwnWrites();
    own.without(trace(40, now - 9000));
    own.note(41);
    expect(own.without({ ...trace(41), created: created(10) }).newest).toBe(now);
    expect(own.coverBetween(40, 42)).toBe(false);
  });
  test('is the only possible one in a bucket that it created', () => {
    const own = openOwnWrites();
    own.without({ ...before, newest: undefined, lastRevision: 0 });
    own.note(1);
    expect(own.without(trace(1)).newest).toBe(Date.parse(old));
  });
  test('explains a gap between two revisions', () => {
    const own = openOwnWrites();
    own.note(41);
    expect([own.coverBetween(40, 41), own.coverBetween(40, 42), own.coverBetween(40, 43)]).toEqual([true, true, false]);
  });
});

describe('an entry under the key of a lock', () => {
  const time = new Date(now - 700);
  const lock = {
    owner: 'smos-00/one',
    nonce: crypto.randomUUID(),
    transferHash: hashOfTransfer('transfer1'),
    source: 'smos-01',
  };
  const entry = (headers: Record<string, string>, text = '') => ({
    seq: 9,
    time,
    string: () => text,
    header: { get: (name: string) => headers[name] ?? '' } as never,
  });
  const named = { 'Nats-Expected-Last-Subject-Sequence': '8' };
  test.each<[string, ReturnType<typeof entry>, unknown]>([
    ['a lock', entry({}, JSON.stringify(lock)), { free: false, lock }],
    ['a lock that was renewed', entry(named, JSON.stringify(lock)), { free: false, lock }],
    ['nonsense', entry({}, 'nonsense'), { free: false, lock: undefined }],
    ['JSON that is no lock', entry({}, '{"owner":1}'), { free: false, lock: undefined }],
    ['released', entry({ 'KV-Operation': 'DEL', ...named }), { free: true, key: { kind: 'released' } }],
    ['deleted by hand', entry({ 'KV-Operation': 'DEL' }), { free: true, key: { kind: 'removed', age: 700 } }],
    [
      'deleted before it was there',
      entry({ 'KV-Operation': 'DEL', 'Nats-Expected-Last-Subject-Sequence': '0' }),
      { free: true, key: { kind: 'removed', age: 700 } },
    ],
    ['purged', entry({ 'KV-Operation': 'PURGE', ...named }), { free: true, key: { kind: 'removed', age: 700 } }],
    ['expired', entry({ 'Nats-Marker-Reason': 'MaxAge' }), { free: true, key: { kind: 'nothing' } }],
  ])('that is %s', (_what, message, expected) => {
    expect(foundIn(message, now)).toEqual({ revision: 9, ...(expected as object) });
  });
  test('that does not exist', () => {
    expect(nothingFound).toEqual({ revision: 0, free: true, key: { kind: 'nothing' } });
  });
});
