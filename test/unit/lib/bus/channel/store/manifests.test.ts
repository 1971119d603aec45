import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contradiction } from '../../../../../../lib/bus/channel/store/manifests.ts';
import {
  parseReceiptKey,
  parseStoredName,
  receiptKey,
  type StoredName,
  storedName,
} from '../../../../../../lib/bus/subjects.ts';
import { unseen } from '../../../../../../lib/plan/predict-target.ts';
import { type ErrorBody, hasReason, ZpsendError } from '../../../../../../schemas/errors.ts';
import { type LastKnownTarget, manifestSchema, type Receipt } from '../../../../../../schemas/stored.ts';
import { isBehind, isLost, itemsFor, lostBefore, mayPass } from '../../../../../../services/receiver/store/queue.ts';
import { isOver } from '../../../../../../services/sender/store/maintenance.ts';
import { learned, seenAs, terminalReceiptsOf, waitingAt } from '../../../../../../services/sender/store/receipts.ts';
import { datasetNames, hostNames } from '../../../plan/legal-names.ts';

const id = fc.stringMatching(/^[A-Za-z0-9]{6,32}$/);

describe('names in the store', () => {
  test('come back as they were', () => {
    const names: fc.Arbitrary<StoredName> = fc.oneof(
      id.map((id) => ({ kind: 'manifest' as const, id })),
      fc.tuple(id, fc.nat(99_999)).map(([id, at]) => ({ kind: 'segment' as const, id, at })),
      fc.tuple(hostNames, datasetNames).map(([target, dataset]) => ({ kind: 'known' as const, target, dataset })),
    );
    fc.assert(
      fc.property(names, (name) => {
        expect(parseStoredName(storedName(name))).toEqual(name);
      }),
    );
  });

  test.each(['', 'abc/manifest', 'abcdef', 'abcdef/1', 'abcdef/manifest/x', 'known/a', 'known//x', 'ab.cdef/000001'])(
    '"%s" is none of ours',
    (name) => expect(parseStoredName(name)).toBeUndefined(),
  );

  test('keys of receipts come back as they were', () => {
    fc.assert(
      fc.property(hostNames, hostNames, id, fc.nat(15), (target, source, id, place) => {
        expect(parseReceiptKey(receiptKey(target, source, id, place))).toEqual({ target, source, id, place });
      }),
    );
  });

  test.each(['', 'a.delivered.b.c', 'a.to.b.cccccc.0', 'a.b.delivered.c.dddddd.0'])('"%s" is no receipt', (key) =>
    expect(parseReceiptKey(key)).toBeUndefined(),
  );
});

const digest = `SHA-256=${'A'.repeat(43)}=`;

function manifestFor(id: string, ...targets: [host: string, dataset: string, more?: object][]) {
  const start = { transfer: 'transfer1', job: 'jobjobjob1', source: 'src', to: { name: 'pool/a@1', guid: '1' } };
  const manifest = manifestSchema.parse({
    version: 1,
    id,
    source: 'src',
    bytes: 100_000,
    segment: 65_536,
    digests: [digest, digest],
    targets: targets.map(([host, dataset, more]) => ({ host, start: { ...start, dataset, ...more } })),
  });
  return { ...manifest, segments: manifest.digests.length };
}

describe('a manifest', () => {
  const good = manifestFor('abcdef', ['dst', 'pool/b']);
  const of = (manifest: Parameters<typeof contradiction>[0], name = 'abcdef/manifest', owner = 'src') =>
    contradiction(manifest, name, owner);

  test('that fits its place is taken', () => expect(of(good)).toBeUndefined());

  test.each<[string, string | undefined]>([
    ['of another stream', of(good, 'ghijkl/manifest')],
    ['in the name of a segment', of(good, 'abcdef/000001')],
    ['in the bucket of another host', of(good, 'abcdef/manifest', 'other')],
    ['that speaks for another source', of({ ...good, source: 'other' })],
    ['with a stream from another source', of(manifestFor('abcdef', ['dst', 'pool/b', { source: 'other' }]))],
    ['with less bytes than segments', of({ ...good, bytes: 65_536 })],
    ['with more bytes than segments', of({ ...good, bytes: 131_073 })],
    [
      'with two snapshots',
      of(manifestFor('abcdef', ['d', 'pool/b'], ['e', 'pool/b', { to: { name: 'pool/a@2', guid: '2' } }])),
    ],
  ])('%s is refused', (_, why) => expect(why).toBeTypeOf('string'));
});

const receipt = (target: string, id: string, state: Receipt['state'], place = 0) => ({
  target,
  id,
  place,
  receipt: { state, bytes: 0 },
});

describe('what waits for a host', () => {
  const waiting = [
    manifestFor('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
    manifestFor('stream2', ['two', 'pool/a'], ['two', 'pool/b']),
    manifestFor('stream3', ['two', 'pool/c']),
  ];
  const ids = (host: string, ...receipts: ReturnType<typeof receipt>[]) =>
    itemsFor(host, waiting, receipts).map(({ stream, place }) => `${stream.id} ${place}`);

  test('is what names it, in order', () => {
    expect(ids('one')).toEqual(['stream1 0']);
    expect(ids('two')).toEqual(['stream1 1', 'stream2 0', 'stream2 1', 'stream3 0']);
    expect(ids('three')).toEqual([]);
  });

  test('is not what it is done with, well or not', () => {
    expect(ids('two', receipt('two', 'stream1', 'done', 1), receipt('two', 'stream3', 'failed'))).toEqual([
      'stream2 0',
      'stream2 1',
    ]);
  });

  test('is what another host is done with, and what was only begun', () => {
    expect(ids('two', receipt('one', 'stream1', 'done', 1), receipt('two', 'stream1', 'running', 1))).toHaveLength(4);
  });

  test.each<[string, object, readonly string[], boolean]>([
    ['another dataset', {}, ['pool/b'], false],
    ['a name that begins alike', {}, ['pool/aa'], false],
    ['the same', {}, ['pool/a'], true],
    ['what lies above', {}, ['pool'], true],
    ['what lies below', {}, ['pool/a/x'], false],
    ['its origin', { origin: 'pool/o@1' }, ['pool/o'], true],
  ])('is behind a blocked dataset or not: %s', (_, more, blocked, is) => {
    const [one] = itemsFor('dst', [manifestFor('stream1', ['dst', 'pool/a', more])], []);
    expect(one && isBehind(one.start, blocked)).toBe(is);
  });

  test.each<[ErrorBody['code'], object, boolean, boolean]>([
    ['LOCKED', {}, true, false],
    ['NO_SPACE', {}, true, false],
    ['KEY_REQUIRED', {}, true, false],
    ['ABORTED', {}, true, false],
    ['STREAM_BROKEN', {}, true, false],
    ['STREAM_BROKEN', { reason: 'lost' }, false, true],
    ['DIVERGED', {}, false, false],
    ['MODIFIED', {}, false, false],
    ['KEY_MISMATCH', {}, true, false],
    ['KEY_MISMATCH', { reason: 'key-changed' }, false, false],
    ['EXISTS', {}, false, false],
  ])('that failed with %s %j: may it pass, and is the stream lost?', (code, details, passes, lost) => {
    const error = new ZpsendError(code, 'x', { ...details }).toBody();
    expect([mayPass(error), isLost(error)]).toEqual([passes, lost]);
  });

  test('is lost with what it starts from', () => {
    const lost = {
      state: 'failed' as const,
      bytes: 0,
      error: new ZpsendError('STREAM_BROKEN', 'x', { reason: 'lost' }).toBody(),
    };
    const own = { target: 'one', id: 'stream1', place: 0, receipt: lost };
    expect([...lostBefore('one', waiting, [own])]).toEqual(['1']);
    expect([...lostBefore('two', waiting, [own])]).toEqual([]);
    expect([...lostBefore('one', waiting, [receipt('one', 'stream1', 'failed')])]).toEqual([]);
  });

  test('has arrived by another way where its own snapshot is there, and not where a dataset is in its way', () => {
    const error = (details: object) => ({
      code: 'EXISTS' as const,
      message: 'x',
      retryable: false,
      details: { ...details },
    });
    expect(hasReason(error({ reason: 'has-snapshot', snapshot: 'pool/a@1' }), 'EXISTS', 'has-snapshot')).toBe(true);
    expect(hasReason(error({ dataset: 'pool/a' }), 'EXISTS', 'has-snapshot')).toBe(false);
  });
});

describe('what a target said last', () => {
  const waiting = [
    manifestFor('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
    manifestFor('stream2', ['one', 'pool/b']),
  ];
  const place = { host: 'one', root: 'pool' };
  const seen: LastKnownTarget = { version: 1, target: unseen('one', 'pool/a') };
  const word = (state: Receipt['state'], error?: ErrorBody) => {
    const said = { ...receipt('one', 'stream1', state), receipt: { state, bytes: 0, ...(error && { error }) } };
    const [first] = terminalReceiptsOf(waiting, [said]);
    if (!first) throw new Error('no word');
    return first;
  };
  const names = ({ target }: LastKnownTarget) => target.datasets.map(({ name }) => name);
  const error = (code: ErrorBody['code'], details: object) => new ZpsendError(code, 'x', { ...details }).toBody();

  test('is of a stream that is there, and not of what it is busy with', () => {
    const all = [
      receipt('one', 'stream1', 'running'),
      receipt('two', 'stream1', 'done', 1),
      receipt('one', 'gone00', 'done'),
    ];
    expect(terminalReceiptsOf(waiting, all).map(({ key, target }) => [key, target])).toEqual([['stream1.1', 'two']]);
    expect(waitingAt(place, waiting, all).starts).toHaveLength(2);
    const { starts } = waitingAt(place, waiting, [receipt('one', 'stream1', 'failed')]);
    expect(starts.map(({ dataset }) => dataset)).toEqual(['pool/b']);
  });

  test('counts once: what was seen of it since is newer', () => {
    const taken = learned(seen, word('done'));
    expect([names(taken), taken.heard]).toEqual([['pool', 'pool/a'], ['stream1.0']]);
    const later = { ...taken, target: seen.target };
    expect(learned(later, word('done'))).toBe(later);
    expect(learned({ ...seen, heard: ['stream1.0'] }, word('failed', error('DIVERGED', {}))).refused).toBeUndefined();
  });

  test.each<[ErrorBody['code'], object, string, boolean]>([
    ['DIVERGED', {}, 'refused', true],
    ['STREAM_BROKEN', { reason: 'lost' }, 'damaged in the store', false],
    ['BASE_MISSING', { reason: 'lost' }, 'lost what it had: its parent is there', true],
  ])('refuses more: %s %j, %s', (code, details, _, isRefused) => {
    const now = learned(seen, word('failed', error(code, details)));
    expect([now.refused !== undefined, now.heard, names(now)]).toEqual([isRefused, ['stream1.0'], ['pool']]);
  });

  test('keeps the first refusal, for which the later ones were', () => {
    const first = learned(seen, word('failed', error('MODIFIED', {})));
    const then = learned(first, { ...word('failed', error('DIVERGED', {})), key: 'stream2.0' });
    expect([then.refused?.code, then.heard]).toEqual(['MODIFIED', ['stream1.0', 'stream2.0']]);
  });

  test('does not count where it never had what it has lost', () => {
    const { start, ...said } = word('failed', error('BASE_MISSING', { reason: 'lost' }));
    const now = learned(seen, { ...said, start: { ...start, from: { guid: '9' } } });
    expect([now.refused, now.heard]).toEqual([undefined, ['stream1.0']]);
  });

  test('of what a job did not look at stays to be learned, and what was known of that stays known', () => {
    const below = { ...word('done'), key: 'below.0', start: { ...word('done').start, dataset: 'pool/a/c' } };
    const before = learned(learned(seen, word('done')), below);
    const target = { host: 'one', datasets: before.target.datasets.filter(({ name }) => name !== 'pool/a/c') };
    const unheard = { ...below, key: 'later.0' };
    const again = seenAs(before, { root: 'pool/a', isWhole: false, target, words: [word('done'), unheard] });
    expect([names(again), again.heard]).toEqual([
      ['pool', 'pool/a', 'pool/a/c'],
      ['stream1.0', 'below.0'],
    ]);
    const whole = seenAs(before, { root: 'pool/a', isWhole: true, target, words: [unheard] });
    expect([names(whole), whole.heard]).toEqual([['pool', 'pool/a'], ['later.0']]);
  });
});

describe('the keeper', () => {
  test('is done with a stream when each of its targets is', () => {
    const manifest = manifestFor('stream1', ['one', 'pool/a'], ['two', 'pool/a'], ['two', 'pool/b']);
    const all = [
      receipt('one', 'stream1', 'done'),
      receipt('two', 'stream1', 'failed', 1),
      receipt('two', 'stream1', 'done', 2),
    ];
    const isDone = (receipts: ReturnType<typeof receipt>[]) =>
      isOver(manifest, new Set(terminalReceiptsOf([manifest], receipts).map(({ key }) => key)));
    expect(isDone(all)).toBe(true);
    for (const [at, one] of all.entries()) {
      const others = all.filter((_, index) => index !== at);
      expect(isDone(others)).toBe(false);
      expect(isDone([...others, { ...one, receipt: { state: 'running', bytes: 1 } }])).toBe(false);
      expect(isDone([...others, { ...one, target: 'three' }])).toBe(false);
    }
  });
});
