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
import { storedStream } from '../../../../../support/stored-streams.ts';
import { datasetNames, hostNames } from '../../../plan/legal-names.ts';

const id = fc.stringMatching(/^[A-Za-z0-9]{6,32}$/);

describe('names in the store', () => {
  test('decode to the same values', () => {
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

  test('keys of receipts decode to the same values', () => {
    fc.assert(
      fc.property(hostNames, hostNames, id, fc.nat(15), (target, source, id, place) => {
        expect(parseReceiptKey(receiptKey(target, source, id, place))).toEqual({ target, source, id, place });
      }),
    );
  });

  test.each(['', 'a.delivered.b.c', 'a.to.b.cccccc.0', 'a.b.delivered.c.dddddd.0'])('"%s" is not a receipt', (key) =>
    expect(parseReceiptKey(key)).toBeUndefined(),
  );
});

describe('a manifest', () => {
  const good = storedStream('abcdef', ['dst', 'pool/b']);
  const of = (manifest: Parameters<typeof contradiction>[0], name = 'abcdef/manifest', owner = 'src') =>
    contradiction(manifest, name, owner);

  test('that matches its key is accepted', () => expect(of(good)).toBeUndefined());

  test.each<[string, string | undefined]>([
    ['of another stream', of(good, 'ghijkl/manifest')],
    ['in the name of a segment', of(good, 'abcdef/000001')],
    ['in the bucket of another host', of(good, 'abcdef/manifest', 'other')],
    ['that speaks for another source', of({ ...good, source: 'other' })],
    ['with a stream from another source', of(storedStream('abcdef', ['dst', 'pool/b', { sourceHost: 'other' }]))],
    ['with less bytes than segments', of({ ...good, bytes: 65_536 })],
    ['with more bytes than segments', of({ ...good, bytes: 131_073 })],
    [
      'with two snapshots',
      of(storedStream('abcdef', ['d', 'pool/b'], ['e', 'pool/b', { to: { name: 'pool/a@2', guid: '2' } }])),
    ],
  ])('%s is refused', (_, why) => expect(why).toBeTypeOf('string'));
});
