import { describe, expect, it, test } from 'vitest';
import { basesOf, newestCommon } from '../../../../lib/plan/inventory/bases.ts';
import { lastKnownOf } from '../../../../lib/plan/predict-target.ts';
import { compare } from '../../../../lib/verify/compare.ts';
import { optionalColumns, requiredColumns } from '../../../../lib/zfs/argv.ts';
import { parseListing } from '../../../../lib/zfs/parse.ts';
import { datasetEntrySchema } from '../../../../schemas/inventory.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { dataset, history, inventory, request, short } from './plan-history.ts';

/** A dataset whose snapshots and bookmarks of these names are redacted. */
function marked(name: string, line: string, ...redacted: string[]) {
  const mark = <E extends { name: string }>(entry: E) =>
    redacted.includes(entry.name) ? { ...entry, redacted: true as const } : entry;
  const { snapshots, bookmarks } = history(line);
  return dataset(name, '', { snapshots: snapshots.map(mark), bookmarks: bookmarks.map(mark) });
}
const source = (line: string, ...redacted: string[]) => marked('t/c', line, ...redacted);
const target = (line: string, ...redacted: string[]) => marked('p/c', line, ...redacted);
const planned = (from: ReturnType<typeof source>, onto = target('@a,1'), more: Partial<SendRequest> = {}) =>
  plan(
    request(more.from === undefined ? 't/c' : 't/c@b', { to: { host: 'dst', dataset: 'p/c' }, ...more }),
    inventory('src', from),
    inventory('dst', dataset('p', ''), onto),
  );
const steps = (...args: Parameters<typeof planned>) => short(planned(...args), 't/c');
const cursor = '#zpsend_dst_01234567_1,1';

describe('a redaction bookmark', () => {
  test('is parsed from the listing, if the release has the column', () => {
    const columns = [...requiredColumns, 'redact_snaps'] as const;
    const rows =
      'a\tfilesystem\t1\t1\t-\na@x\tsnapshot\t2\t2\t77\na#r\tbookmark\t2\t2\t77,78\na#o\tbookmark\t2\t2\t-\n';
    const [read] = parseListing({ stdout: rows, columns, expected: 'a' });
    expect(read && datasetEntrySchema.parse(read)).toEqual(read);
    expect(read?.snapshots).toMatchObject([{ name: 'x', redacted: true }]);
    expect(read?.bookmarks.map(({ name, redacted }) => [name, redacted])).toEqual([
      ['r', true],
      ['o', undefined],
    ]);
    expect(optionalColumns).toContain('redact_snaps');
  });

  it('edge case 27: is not a base, in any order; a cursor of its snapshot is (openzfs#18491)', () => {
    for (const line of [`#r,1 ${cursor} @b,2`, `${cursor} #r,1 @b,2`, '#r,1 #zz,1 @b,2', '#r,1 #a,1 @b,2']) {
      expect(planned(source(line, 'r')), line).toMatchObject({
        ok: true,
        steps: [{ from: { name: expect.not.stringMatching(/#r$/), kind: 'bookmark' } }],
      });
    }
    expect(newestCommon(source('@a,1 #r,2 @c,3', 'r'), target('@a,1 @b,2'))).toMatchObject({ name: 'a' });
  });

  it('alone is not a base: the refusal has a fix, and a rollback destroys no snapshot that the source had', () => {
    const alone = source('#r,1 @b,2', 'r');
    const refused = planned(alone);
    expect(refused).toMatchObject({ ok: false, error: { code: 'DIVERGED' } });
    expect(!refused.ok && refused.error.message).toEqual(mentions('zfs bookmark t/c#r t/c#NAME', 'src', 'dst'));
    const newer = source('@a,1 #r,2 @c,3', 'r');
    expect(steps(newer, target('@a,1 @b,2'), { conflict: 'rollback' })).toBe('DIVERGED');
  });

  it('is refused with -i too, with a fix', () => {
    const refused = planned(source('@a,1 #r,1 @b,2', 'r'), target('@a,1'), { from: '#r' });
    expect(refused).toMatchObject({ ok: false, error: { code: 'UNSUPPORTED', details: { dataset: 't/c' } } });
    expect(!refused.ok && refused.error.message).toEqual(
      mentions('t/c#r', 'src', 'zfs bookmark t/c#r t/c#NAME', '-i #NAME'),
    );
    expect(steps(source('@a,1 #r,1 @b,2'), target('@a,1'), { from: '#r' })).toEqual(['#r -> @b']);
  });

  it('is no common point for an offline target, nor a starting point of verify', () => {
    const [from, to] = [source('@a,1 #r,2 @c,3', 'r'), target('@a,1 @b,2')];
    const [seen] = lastKnownOf(inventory('dst', to), inventory('src', from)).datasets;
    expect(seen?.snapshots.map(({ name }) => name)).toEqual(['a', 'b']);
    const asked = { source: 't/c', target: 'p/c', recursive: false };
    expect(compare(asked, inventory('src', from), inventory('dst', to))).toMatchObject([{ state: 'diverged' }]);
  });
});

test('of one snapshot a cursor comes before other bookmarks', () => {
  expect(basesOf(source(`@b,2 #a,1 ${cursor} #z,1`)).map(({ name }) => name)).toEqual([
    'b',
    'zpsend_dst_01234567_1',
    'a',
    'z',
  ]);
});

describe('a replica that was received redacted', () => {
  it('is not sent, since its replica would hide the missing blocks', () => {
    const refused = planned(source('@a,1 @b,2', 'b'));
    expect(refused).toMatchObject({ ok: false, error: { code: 'UNSUPPORTED', details: { host: 'src' } } });
    expect(steps(source('@a,1 @b,2', 'a'), target(''))).toBe('EXISTS');
    // a base of the chain may be, since both sides have the same of it; an existing snapshot needs no step
    expect(steps(source('@a,1 @b,2', 'a'))).toEqual(['@a -> @b']);
    expect(steps(source('@a,1 @b,2', 'b'), target('@a,1 @b,2'))).toEqual([]);
  });

  it('is different to verify, though it has the guid', () => {
    const asked = { source: 't/c', target: 'p/c', recursive: false };
    const seen = compare(asked, inventory('src', source('@a,1')), inventory('dst', target('@a,1', 'a')));
    expect(seen).toMatchObject([{ state: 'different', snapshots: [{ state: 'different' }] }]);
  });

  it('receives no increment on the target', () => {
    const refused = planned(source('@a,1 @b,2'), target('@a,1', 'a'));
    expect(refused).toMatchObject({ ok: false, error: { code: 'UNSUPPORTED', details: { host: 'dst' } } });
    expect(!refused.ok && refused.error.message).toEqual(mentions('p/c@a', 'dst', 't/c'));
    expect(steps(source('@a,1 @b,2'), target('@a,1 @b,2', 'a'))).toEqual([]);
  });

  it('is no origin of a clone there', () => {
    const clone = dataset('t/c', '@b,2', { origin: { name: 't/o@a', guid: '1' } });
    const onto = (...redacted: string[]) =>
      plan(
        request('t/c', { to: { host: 'dst', dataset: 'p/c' } }),
        inventory('src', clone),
        inventory('dst', dataset('p', ''), marked('p/o', '@a,1', ...redacted)),
      );
    expect(short(onto('a'))).toBe('UNSUPPORTED');
    expect(short(onto(), 't/c')).toEqual(['t/o@a -> @b']);
  });
});
