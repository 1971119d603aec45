import { describe, expect, it } from 'vitest';
import { mentions } from '../../../support/mentions.ts';
import { PoolModel } from '../../../support/pool-model.ts';
import { empty, having, planned, replication, table } from './package-cases.ts';

describe('between two runs', () => {
  const first = () =>
    new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'create pool/b/1/x', 'snapshot -r pool/b@s1');

  it('a descendant was created: it is seeded', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('create pool/b/new', 'snapshot -r pool/b@s2');
    expect(table(planned(source, target, 'pool/b@s2', replication))).toContain('full pool/b/new@s2 -');
  });

  it('a descendant was destroyed: the target keeps it', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('destroy pool/b/1', 'snapshot -r pool/b@s2');
    expect(table(planned(source, target, 'pool/b@s2', replication))).toEqual(['incr pool/b@s2 pool/b@s1']);
  });

  it('a descendant was renamed: it is refused with its descendants and its target name, and continues once renamed there', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('rename pool/b/1 pool/b/moved', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(table(result)).toEqual(['incr pool/b@s2 pool/b@s1']);
    expect(result.ok && result.refused).toMatchObject([
      { dataset: 'pool/b/moved', error: { code: 'EXISTS', details: { previousName: 'pool/b/1' } } },
      { dataset: 'pool/b/moved/x', error: { code: 'EXISTS', details: { needs: 'pool/b/moved' } } },
    ]);
    expect(result.ok && result.refused?.[0]?.error.message).toEqual(
      mentions('zfs rename pool/b/1 pool/b/moved', 'dst'),
    );
    target.run('rename pool/b/1 pool/b/moved');
    expect(table(planned(source, target, 'pool/b@s2', replication))).toEqual([
      'incr pool/b@s2 pool/b@s1',
      'incr pool/b/moved@s2 pool/b/moved@s1',
      'incr pool/b/moved/x@s2 pool/b/moved/x@s1',
    ]);
  });

  it('another dataset took its name: both are refused, and nothing of the old one is touched', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('rename pool/b/1 pool/b/moved', 'create pool/b/1', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(result.ok && result.refused?.map(({ dataset, error }) => [dataset, error.code])).toEqual([
      ['pool/b/1', 'DIVERGED'],
      ['pool/b/moved', 'EXISTS'],
      ['pool/b/moved/x', 'EXISTS'],
    ]);
  });

  it('a dataset that another host received from the same image is never written to', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    const image = { name: 'v1', guid: '77', createtxg: 3 };
    source.run('create pool/b/vm');
    source.datasets.get('pool/b/vm')?.snapshots.push(image);
    source.run('snapshot -r pool/b@s2');
    target.run('create pool/b/theirs');
    target.datasets.get('pool/b/theirs')?.snapshots.push({ ...image });
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(result.ok && result.steps.map((step) => step.targetDataset)).not.toContain('pool/b/theirs');
    expect(result.ok && result.refused?.map(({ dataset }) => dataset)).toEqual(['pool/b/vm']);
    // the fix in the message
    expect(table(planned(source, target, 'pool/b/vm'))).toEqual([
      'full pool/b/vm@v1 -',
      'incr pool/b/vm@s2 pool/b/vm@v1',
    ]);
  });

  it('a descendant of a dataset without snapshots was renamed: it is refused with its target name', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/old', 'snapshot pool/b/old@s');
    const target = having(source, empty(), 'pool/b', replication);
    source.run('rename pool/b/old pool/b/new', 'snapshot pool/b/new@u');
    expect(planned(source, target, 'pool/b', replication)).toMatchObject({
      ok: false,
      error: { code: 'EXISTS', details: { dataset: 'pool/b/new', previousName: 'pool/b/old' } },
    });
    target.run('rename pool/b/old pool/b/new');
    expect(table(planned(source, target, 'pool/b', replication))).toEqual(['incr pool/b/new@u pool/b/new@s']);
  });

  it.each([
    ['without snapshots', []],
    ['that was received', ['snapshot pool@s0']],
  ])('another backup below the same root, %s, is not taken for the renamed dataset', (_, made) => {
    const source = first().run(...made);
    const target = empty('tank');
    if (made.length === 0) target.run('create tank/copies');
    else having(source, target, 'pool', { to: { host: 'dst', dataset: 'tank/copies' } });
    target.run('create tank/copies/daily');
    having(source, target, 'pool/b@s1', { ...replication, to: { host: 'dst', dataset: 'tank/copies/daily/b' } });
    const to = { host: 'dst', dataset: 'tank/copies' };
    expect(table(planned(source, target, 'pool', { ...replication, to }))).toEqual([
      'full pool/b@s1 -',
      'full pool/b/1@s1 -',
      'full pool/b/1/x@s1 -',
    ]);
  });

  it('a copy is not taken for its original, also when the original is left out', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    const copy = source.find('pool/b/1@s1');
    source.run('create pool/b/copy');
    if (copy) source.datasets.get('pool/b/copy')?.snapshots.push({ ...copy });
    source.run('snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', { ...replication, exclude: ['1'] });
    expect(table(result)).toContain('full pool/b/copy@s1 -');
  });

  it('a diverged one is refused with its evidence, and the others continue', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication).run('snapshot pool/b/1@mine');
    source.run('snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(table(result)).toEqual(['incr pool/b@s2 pool/b@s1', 'incr pool/b/1/x@s2 pool/b/1/x@s1']);
    expect(result.ok && result.refused).toMatchObject([
      {
        dataset: 'pool/b/1',
        targetDataset: 'pool/b/1',
        error: { code: 'DIVERGED' },
        evidence: { newestCommon: 's1', sourceOnly: ['s2'], targetOnly: ['mine'] },
      },
    ]);
  });

  it('a dataset that was a placeholder has snapshots: it is refused with its new descendants', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot pool/b/1@s1');
    const target = having(source, empty(), 'pool/b', replication);
    source.run('create pool/b/2', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(result.ok && result.refused).toMatchObject([{ dataset: 'pool/b', error: { code: 'EXISTS' } }]);
    expect(table(result)).toEqual(['incr pool/b/1@s2 pool/b/1@s1', 'full pool/b/2@s2 -']);
  });

  it('an empty dataset that is not a placeholder blocks the package: nothing new is received below it, but replicas there continue', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot pool/b/1@s1');
    const target = empty().run('create pool/b');
    having(source, target, 'pool/b/1', {});
    source.run('create pool/b/2', 'create pool/b/2/x', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(table(result)).toEqual(['incr pool/b/1@s2 pool/b/1@s1']);
    expect(result.ok && result.refused?.map(({ dataset }) => dataset)).toEqual(['pool/b', 'pool/b/2', 'pool/b/2/x']);
  });

  it.each([
    ['without', []],
    ['with', ['snapshot pool/b/1@mine']],
  ])('a volume %s snapshots blocks a dataset: its descendants are left out too, and the others continue', (_, more) => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', {}).run('create -V pool/b/1', ...more);
    source.run('create pool/b/z', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(table(result)).toEqual(['incr pool/b@s2 pool/b@s1', 'full pool/b/z@s2 -']);
    expect(result.ok && result.refused?.map(({ dataset }) => dataset)).toEqual(['pool/b/1', 'pool/b/1/x']);
  });

  it('the descendants of a refused dataset, and its clones, are refused with it', () => {
    const source = first();
    const target = empty().run('create pool/b', 'snapshot pool/b@other');
    const result = planned(source, target, 'pool/b@s1', replication);
    expect(result).toMatchObject({ ok: false, error: { code: 'DIVERGED' } });
    expect(!result.ok && result.error.message).toEqual(mentions('pool/b/1', 'pool/b/1/x'));
  });
});

describe('datasets without the named snapshot', () => {
  const source = () =>
    new PoolModel('src', 'pool').run(
      'create pool/b',
      'create pool/b/1',
      'create pool/b/2',
      'create pool/b/2/x',
      'snapshot -r pool/b@s',
      'destroy pool/b/2@s',
      'create pool/b/late',
      'snapshot pool/b/late@other',
    );

  it('are an error that names them and the fixes', () => {
    const result = planned(source(), empty(), 'pool/b@s', replication);
    expect(result).toMatchObject({ ok: false, error: { code: 'NO_SUCH_SNAPSHOT', details: { dataset: 'pool/b/2' } } });
    expect(!result.ok && result.error.message).toEqual(mentions('--skip-missing'));
  });

  it('are left out with their descendants on request, with a note', () => {
    const result = planned(source(), empty(), 'pool/b@s', { ...replication, skipMissing: true });
    expect(table(result)).toEqual(['full pool/b@s -', 'full pool/b/1@s -']);
    expect(result.ok && result.notes?.map(({ kind, dataset }) => [kind, dataset])).toEqual([
      ['skipped', 'pool/b/2'],
      ['skipped', 'pool/b/late'],
    ]);
  });

  it('are left out without a request if they are younger than the snapshot', () => {
    const clean = source().run('destroy pool/b/2');
    expect(table(planned(clean, empty(), 'pool/b@s', replication))).toEqual(['full pool/b@s -', 'full pool/b/1@s -']);
  });

  it('are always an error if the package’s root is one', () => {
    expect(table(planned(source(), empty(), 'pool/b@no', { ...replication, skipMissing: true }))).toBe(
      'NO_SUCH_SNAPSHOT',
    );
  });
});
