import { describe, expect, it } from 'vitest';
import type { Code, ErrorDetails } from '../../../../schemas/errors.ts';
import { planSchema } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { dataset, inventory, request, short } from './plan-history.ts';

const refusal = (source: string, target: string, what = request('zones/test')) => {
  const result = plan(what, inventory('src', dataset('zones/test', source)), {
    host: 'dst',
    datasets: [dataset('zones/test', target)],
  });
  if (result.ok) throw new Error('was not refused');
  expect(planSchema.parse(result)).toEqual(result);
  return { ...result, code: result.error.code, message: result.error.message };
};

describe('a target that has diverged', () => {
  it('is refused with the newest common snapshot, and those that only one side has', () => {
    const { code, evidence, message } = refusal('@a,1 @b,2 @c,3 @d,4', '@a,1 @b,2 @mine,7');
    expect(code).toBe('DIVERGED');
    expect(evidence).toEqual({ newestCommon: 'b', sourceOnly: ['c', 'd'], targetOnly: ['mine'] });
    expect(message).toEqual(mentions('src', 'dst', '@c', '@d', '@mine', 'zfs rollback -r zones/test@b'));
  });

  it('is refused with the name of the common snapshot there, if the source has a bookmark of it', () => {
    expect(refusal('#mark,1 @b,2', '@a,1 @mine,7').evidence).toMatchObject({ newestCommon: 'a', targetOnly: ['mine'] });
  });

  it('edge case 9: is refused with that snapshot as evidence, also when the source has nothing newer', () => {
    expect(refusal('@a,1', '@a,1 @mine,7').evidence).toEqual({
      newestCommon: 'a',
      sourceOnly: [],
      targetOnly: ['mine'],
    });
  });

  it('is refused if no snapshot is common, even if names are equal', () => {
    const { code, evidence } = refusal('@a,1 @b,2', '@a,7 @b,8');
    expect(code).toBe('DIVERGED');
    expect(evidence).toEqual({ newestCommon: null, sourceOnly: ['a', 'b'], targetOnly: ['a', 'b'] });
  });

  it('is judged by its own createtxg', () => {
    expect(refusal('@a,1 @b,2', '@mine,7,50 @a,1,40').code).toBe('DIVERGED');
    const source = inventory('src', dataset('zones/test', '@a,1 @b,2'));
    const pruned = inventory('dst', dataset('zones/test', '@a,1,50 @mine,7,40'));
    expect(short(plan(request('zones/test'), source, pruned))).toEqual(['@a -> @b']);
  });

  it('names the rollback by the name that the common snapshot has there', () => {
    expect(refusal('@a,1 @b,2', '@renamed,1 @mine,7').message).toEqual(mentions('zfs rollback -r zones/test@renamed'));
  });

  it('has the number of omitted names, and evidence that fits in one message', () => {
    const many = Array.from({ length: 2000 }, (_, at) => `@s${at},${at + 10}`).join(' ');
    const { message, evidence } = refusal(`@a,1 ${many}`, '@a,1 @mine,7');
    expect(message).toEqual(mentions('@s1999', 1995));
    expect(evidence?.sourceOnly).toHaveLength(500);
    expect(evidence?.sourceOnly.at(-1)).toBe('s1999');
  });
});

describe('a snapshot name that is taken on the target by another snapshot', () => {
  it('is refused with that name as evidence', () => {
    const { code, evidence, message } = refusal('@b,2 @daily,3', '@daily,1 @b,2');
    expect(code).toBe('DIVERGED');
    expect(evidence).toEqual({ newestCommon: 'b', sourceOnly: ['daily'], targetOnly: ['daily'] });
    expect(message).toEqual(mentions('zfs rename zones/test@daily'));
  });

  it('does not matter if no step would create it', () => {
    const source = inventory('src', dataset('zones/test', '@daily,2 @b,3 @c,4'));
    const target = inventory('dst', dataset('zones/test', '@daily,1 @b,3'));
    expect(short(plan(request('zones/test'), source, target))).toEqual(['@b -> @c']);
  });
});

describe('one incremental that does not fit', () => {
  it('names a base that fits', () => {
    const { message, evidence } = refusal('@a,1 @b,2 @c,3', '@a,1 @b,2', request('zones/test@c', { from: '@a' }));
    expect(message).toEqual(mentions('@a', '@b'));
    expect(evidence).toEqual({ newestCommon: 'b', sourceOnly: ['c'], targetOnly: [] });
  });

  it('names the common snapshot if the base is missing', () => {
    const { code, evidence } = refusal('@a,1 @b,2 @c,3', '@a,1', request('zones/test@c', { from: '@b' }));
    expect([code, evidence]).toEqual(['BASE_MISSING', { newestCommon: 'a', sourceOnly: ['b', 'c'], targetOnly: [] }]);
  });
});

describe('a target that exists', () => {
  it('is not overwritten by a seed', () => {
    const { code, message } = refusal('@a,1', '');
    expect(code).toBe('EXISTS');
    expect(message).toEqual(mentions('zones/test', 'dst', 'dst:zones/test-2'));
  });

  it('is not overwritten by a full stream', () => {
    const { code, evidence } = refusal('@a,1 @b,2', '@a,1', request('zones/test@b', { full: true }));
    expect([code, evidence]).toEqual(['EXISTS', { newestCommon: 'a', sourceOnly: ['b'], targetOnly: [] }]);
  });
});

describe('a request with an unknown dataset or snapshot', () => {
  const source = inventory(
    'src',
    dataset('zones/test', '@a,1 @b,2 @c,3 @d,4 @e,5 @f,6 #old,0'),
    dataset('zones/e', ''),
    dataset('zones/part', '', { resumeToken: '1-abc-def' }),
  );
  it.each<[string, Partial<SendRequest>, Code, (string | number)[], ErrorDetails?]>([
    ['zones/none', {}, 'NO_SUCH_DATASET', ['src', 'zones/none']],
    ['zones/test@x', {}, 'NO_SUCH_SNAPSHOT', ['@x', '@b', '@c', '@d', '@e', '@f', 1], { newest: [...'bcdef'] }],
    ['zones/test@f', { from: '@old' }, 'NO_SUCH_SNAPSHOT', ['@old', '#old']],
    ['zones/test@f', { from: '#x' }, 'NO_SUCH_SNAPSHOT', ['#x', '#old'], { newest: ['old'] }],
    ['zones/e', {}, 'NO_SUCH_SNAPSHOT', ['zfs snapshot zones/e@NAME'], { newest: [] }],
    ['zones/e@x', {}, 'NO_SUCH_SNAPSHOT', ['zfs snapshot zones/e@NAME'], { newest: [] }],
    ['zones/part', {}, 'NO_SUCH_SNAPSHOT', ['src', 'zones/part'], { partial: true }],
  ])('%s %o', (what, more, code, facts, details = {}) => {
    expect(plan(request(what, more), source, inventory('dst'))).toMatchObject({
      ok: false,
      error: { code, message: mentions(...facts), details },
    });
  });
});

describe('an invalid request', () => {
  const own = inventory('src', dataset('zones/test', '@a,1'));
  const to = (dataset?: string) => request('zones/test', { to: { host: 'src', ...(dataset && { dataset }) } });

  it.each([
    ['into itself', to()],
    ['into itself by name', to('zones/test')],
    ['into a dataset below itself', to('zones/test/copy')],
  ])('is refused: %s on one host', (_, what) => {
    expect(short(plan(what, own, inventory('src')))).toBe('BAD_REQUEST');
  });

  it('may name a sibling on one host, and a descendant of itself on another', () => {
    expect(short(plan(to('zones/test2'), own, inventory('src')))).toEqual(['full @a']);
    const elsewhere = request('zones/test', { to: { host: 'dst', dataset: 'zones/test/copy' } });
    expect(short(plan(elsewhere, own, inventory('dst')))).toEqual(['full @a']);
  });

  it('is refused when the listing is of another host', () => {
    expect(short(plan(request('zones/test'), own, inventory('other')))).toBe('BAD_REQUEST');
  });
});

describe('a listing that contradicts itself', () => {
  const sound = dataset('zones/test', '@a,1 @b,2');
  const code = (source: (typeof sound)[], target: (typeof sound)[]) =>
    short(plan(request('zones/test'), inventory('src', ...source), inventory('dst', ...target)));

  it.each([
    ['the source dataset twice', [sound, sound], []],
    ['the target dataset twice', [sound], [sound, sound]],
    ['two source snapshots of one guid', [dataset('zones/test', '@a,1 @b,1,2')], []],
    ['two target snapshots of one guid', [sound], [dataset('zones/test', '@a,1 @b,1,2')]],
    ['two source snapshots of one txg', [dataset('zones/test', '@a,10,5 @b,11,5')], [dataset('zones/test', '@a,10,7')]],
    ['two target snapshots of one txg', [sound], [dataset('zones/test', '@a,1,5 @b,2,05')]],
    ['a snapshot name twice', [dataset('zones/test', '@a,1 @a,2')], []],
    ['a bookmark name twice', [dataset('zones/test', '@a,1 #b,1 #b,2')], []],
  ])('is refused: %s', (_, source, target) => {
    expect(code(source, target)).toBe('BAD_REQUEST');
  });

  it('may show snapshots of one txg in several datasets, and a bookmark with the txg of a snapshot', () => {
    const all = [dataset('zones/test', '@a,1,5 #x,1,5 #y,1,5'), dataset('zones/test/b', '@a,2,5')];
    const asked = request('zones/test', { package: 'replication' });
    expect(short(plan(asked, inventory('src', ...all), inventory('dst')))).toEqual(['full @a', 'full /b@a']);
  });

  it('does not matter in other datasets, for example two of one guid', () => {
    const other = dataset('zones/other', '@a,1 @x,1', { guid: sound.guid });
    expect(code([sound, other], [other])).toEqual(['full @a', '@a -> @b']);
  });

  it('may have several bookmarks of one snapshot', () => {
    const source = dataset('zones/test', '#x,1 #y,1 @b,2');
    expect(code([source], [dataset('zones/test', '@a,1')])).toEqual(['#x -> @b']);
  });

  it('may have them in any order: the first by name is taken (I12)', () => {
    const source = dataset('zones/test', '@b,2 #y,1 #x,1');
    expect(code([source], [dataset('zones/test', '@a,1')])).toEqual(['#x -> @b']);
  });
});
