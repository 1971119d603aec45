import { describe, expect, it } from 'vitest';
import { plan } from '../../lib/plan/plan.ts';
import { type Plan, planSchema, type SendRequest } from '../../schemas/plan.ts';
import { PoolModel } from '../support/pool-model.ts';

/** The tree of "Types of ZFS Snapshot Streams", made in the order in which the document lists it. */
const documentTree = () =>
  new PoolModel('src', 'pool').run(
    'create pool/a',
    'create pool/a/1',
    'snapshot pool/a/1@clone',
    'create pool/b',
    'clone pool/a/1@clone pool/b/1',
    'snapshot pool/b/1@clone2',
    'clone pool/b/1@clone2 pool/b/2',
    'snapshot -r pool/b@pre-send',
    'snapshot -r pool/b@send',
  );

const empty = (pool = 'pool') => new PoolModel('dst', pool, { next: 500_000 });
const replication = { package: 'replication' } as const;
const recursive = { package: 'recursive' } as const;

const planned = (source: PoolModel, target: PoolModel, dataset: string, more: Partial<SendRequest> = {}): Plan => {
  const result = plan({ dataset, to: { host: 'dst' }, ...more }, source.inventory(), target.inventory());
  expect(planSchema.parse(result)).toEqual(result);
  return result;
};

/** A target that has received that much already. */
function having(source: PoolModel, target: PoolModel, dataset: string, more: Partial<SendRequest>, steps?: number) {
  const result = planned(source, target, dataset, more);
  if (!result.ok) throw new Error(result.error.message);
  const notes = new Set(result.notes?.map((note) => note.dataset));
  for (const step of result.steps.slice(0, steps)) target.receive(step, source, notes);
  return target;
}

/** The document's own form: TYPE SNAPSHOT INCREMENTAL-FROM. */
const table = (result: Plan): string[] | string =>
  result.ok
    ? result.steps.map(
        ({ type, to, from }) => `${type.slice(0, 4).replace('incr', 'incr')} ${to.name} ${from?.name ?? '-'}`,
      )
    : result.error.code;

const origin = { name: 'pool/a/1@clone', guid: '' };
/** A target that has pool/a/1@clone, by guid. */
function withOrigin(source: PoolModel): PoolModel {
  origin.guid = source.find(origin.name)?.guid ?? '';
  return having(source, empty(), 'pool/a/1', {});
}

describe("the document's tree", () => {
  it('-R: the dataset and its descendants with every intermediate snapshot', () => {
    const source = documentTree();
    expect(table(planned(source, withOrigin(source), 'pool/b@send', replication))).toEqual([
      'full pool/b@pre-send -',
      'incr pool/b@send pool/b@pre-send',
      'incr pool/b/1@clone2 pool/a/1@clone',
      'incr pool/b/1@pre-send pool/b/1@clone2',
      'incr pool/b/1@send pool/b/1@pre-send',
      'incr pool/b/2@pre-send pool/b/1@clone2',
      'incr pool/b/2@send pool/b/2@pre-send',
    ]);
  });

  it('-Rc: the clone whose origin is outside is sent whole', () => {
    const steps = [
      'full pool/b@pre-send -',
      'incr pool/b@send pool/b@pre-send',
      'full pool/b/1@clone2 -',
      'incr pool/b/1@pre-send pool/b/1@clone2',
      'incr pool/b/1@send pool/b/1@pre-send',
      'incr pool/b/2@pre-send pool/b/1@clone2',
      'incr pool/b/2@send pool/b/2@pre-send',
    ];
    const source = documentTree();
    const asked = { ...replication, selfContained: true };
    expect(table(planned(source, empty(), 'pool/b@send', asked))).toEqual(steps);
    expect(table(planned(source, withOrigin(source), 'pool/b@send', asked))).toEqual(steps);
  });

  it('-r: only the named snapshot, and origins of clones in the package', () => {
    const source = documentTree();
    expect(table(planned(source, withOrigin(source), 'pool/b@send', recursive))).toEqual([
      'full pool/b@send -',
      'incr pool/b/1@clone2 pool/a/1@clone',
      'incr pool/b/1@send pool/b/1@clone2',
      'incr pool/b/2@send pool/b/1@clone2',
    ]);
  });

  it('-rc: both', () => {
    const source = documentTree();
    expect(table(planned(source, empty(), 'pool/b@send', { ...recursive, selfContained: true }))).toEqual([
      'full pool/b@send -',
      'full pool/b/1@clone2 -',
      'incr pool/b/1@send pool/b/1@clone2',
      'incr pool/b/2@send pool/b/1@clone2',
    ]);
  });

  it.each([replication, recursive])('is refused without the origin outside, naming both and the ways out', (asked) => {
    const result = planned(documentTree(), empty(), 'pool/b@send', asked);
    expect(result).toMatchObject({
      error: { code: 'ORIGIN_MISSING', details: { clone: 'pool/b/1', origin: 'pool/a/1@clone' } },
    });
    expect(!result.ok && result.error.message).toMatch(
      /pool\/b\/1 on src is a clone of pool\/a\/1@clone.*send pool\/a\/1 to dst first.*\(-c\).*Refused as well: pool\/b\/2/,
    );
  });

  it('is complete with all of it, and then there is nothing to do', () => {
    for (const asked of [replication, recursive]) {
      const source = documentTree();
      const target = having(source, withOrigin(source), 'pool/b@send', asked);
      expect(planned(source, target, 'pool/b@send', asked)).toEqual({ ok: true, steps: [] });
    }
  });

  it('goes on from any step at which it was interrupted', () => {
    for (const asked of [
      replication,
      recursive,
      { ...replication, selfContained: true },
      { ...recursive, selfContained: true },
    ]) {
      const source = documentTree();
      const whole = table(planned(source, withOrigin(source), 'pool/b@send', asked));
      for (let steps = 0; steps <= whole.length; steps++) {
        const target = having(source, withOrigin(source), 'pool/b@send', asked, steps);
        expect(table(planned(source, target, 'pool/b@send', asked))).toEqual(whole.slice(steps));
      }
    }
  });

  it('sends volumes as it sends filesystems', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create -V pool/b/v', 'snapshot -r pool/b@s');
    expect(table(planned(source, empty(), 'pool/b@s', replication))).toEqual(['full pool/b@s -', 'full pool/b/v@s -']);
  });
});

describe('clones', () => {
  it('waits for an origin in a dataset that is later by name', () => {
    const source = new PoolModel('src', 'pool').run(
      'create pool/z',
      'snapshot pool/z@o',
      'clone pool/z@o pool/a',
      'snapshot -r pool@s',
    );
    expect(
      table(planned(source, empty('tank'), 'pool@s', { ...replication, to: { host: 'dst', dataset: 'tank/p' } })),
    ).toEqual(['full pool@s -', 'full pool/z@o -', 'incr pool/z@s pool/z@o', 'incr pool/a@s pool/z@o']);
  });

  it('follows clones of clones, however long the chain', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/x30', 'snapshot pool/b/x30@o');
    for (let at = 29; at >= 0; at--) {
      const name = `pool/b/x${String(at).padStart(2, '0')}`;
      source.run(`clone pool/b/x${String(at + 1).padStart(2, '0')}@o ${name}`, `snapshot ${name}@o`);
    }
    const result = planned(source, empty(), 'pool/b', { ...replication });
    expect(result.ok && result.steps).toHaveLength(31);
    expect(having(source, empty(), 'pool/b', replication).guidsWithin('pool/b').size).toBe(31);
  });

  it('goes on after a promotion between runs', () => {
    const source = new PoolModel('src', 'pool').run(
      'create pool/b',
      'create pool/b/1',
      'snapshot -r pool/b@s1',
      'clone pool/b/1@s1 pool/b/2',
      'snapshot -r pool/b@s2',
    );
    const target = having(source, empty(), 'pool/b@s2', replication);
    source.run('promote pool/b/2', 'snapshot -r pool/b@s3');
    expect(table(planned(source, target, 'pool/b@s3', replication))).toEqual([
      'incr pool/b@s3 pool/b@s2',
      'incr pool/b/1@s3 pool/b/1@s2',
      'incr pool/b/2@s3 pool/b/2@s2',
    ]);
  });

  it('names the bookmark with which a dataset goes on that lost its common snapshot to a promotion', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot -r pool/b@s1');
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('clone pool/b/1@s1 pool/b/2', 'promote pool/b/2', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    const refused = result.ok ? result.refused?.[0] : undefined;
    expect(refused).toMatchObject({ dataset: 'pool/b/1', error: { code: 'DIVERGED' } });
    expect(refused?.error.message).toContain('zfs bookmark pool/b/2@s1 pool/b/1#s1 on src');
    source.datasets
      .get('pool/b/1')
      ?.bookmarks.push({ name: 's1', guid: source.find('pool/b/2@s1')?.guid ?? '', createtxg: 5 });
    expect(table(planned(source, target, 'pool/b@s2', replication))).toContain('incr pool/b/1@s2 pool/b/1#s1');
  });

  it('does not send again what a promotion has moved into a dataset that the target lacks', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot -r pool/b@s1');
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('clone pool/b/1@s1 pool/b/2', 'snapshot -r pool/b@s2');
    having(source, target, 'pool/b/1', {});
    source.run('promote pool/b/2', 'snapshot -r pool/b@s3');
    const result = planned(source, target, 'pool/b@s3', replication);
    expect(result.ok && result.steps.find(({ target: name }) => name === 'pool/b/2')).toMatchObject({
      from: { name: 'pool/b/2@s1' },
      to: { name: 'pool/b/2@s2' },
      origin: 'pool/b/1@s1',
    });
    expect(having(source, target, 'pool/b@s3', replication).find('pool/b/2@s3')).toBeDefined();
  });

  /** pool/b is a clone of pool/b/1@o, which lies inside it: what a promotion leaves. */
  const insideOut = () =>
    new PoolModel('src', 'pool').run(
      'create pool/b',
      'snapshot pool/b@o',
      'clone pool/b@o pool/b/1',
      'promote pool/b/1',
      'snapshot -r pool/b@s',
    );

  it('refuses a clone of what lies inside it, and sends it whole with -c', () => {
    const result = planned(insideOut(), empty(), 'pool/b@s', replication);
    expect(result).toMatchObject({ error: { code: 'ORIGIN_MISSING', details: { clone: 'pool/b' } } });
    expect(table(planned(insideOut(), empty(), 'pool/b@s', { ...replication, selfContained: true }))).toEqual([
      'full pool/b@s -',
      'full pool/b/1@o -',
      'incr pool/b/1@s pool/b/1@o',
    ]);
  });

  it('takes an origin that is newer than the named snapshot for one outside the package', () => {
    const source = new PoolModel('src', 'pool').run(
      'create pool/b',
      'create pool/b/1',
      'create pool/b/2',
      'snapshot -r pool/b@s',
      'snapshot pool/b/1@late',
      'destroy pool/b/2',
      'clone pool/b/1@late pool/b/2',
      'snapshot pool/b/2@s',
    );
    expect(table(planned(source, empty(), 'pool/b@s', replication))).toBe('ORIGIN_MISSING');
    expect(table(planned(source, empty(), 'pool/b@s', { ...replication, selfContained: true }))).toContain(
      'full pool/b/2@s -',
    );
  });

  it('sends a clone whole with -c also where the listing does not show the guid of its origin', () => {
    const { host, datasets } = documentTree().inventory();
    const blind = datasets.map((entry) =>
      entry.name === 'pool/b/1' ? { ...entry, origin: { name: 'pool/a/1@clone' } } : entry,
    );
    const asked = { dataset: 'pool/b@send', ...recursive, to: { host: 'dst' } };
    const into = empty().inventory();
    expect(table(plan({ ...asked, selfContained: true }, { host, datasets: blind }, into))).toContain(
      'full pool/b/1@clone2 -',
    );
    expect(table(plan(asked, { host, datasets: blind }, into))).toBe('ORIGIN_MISSING');
  });

  it('is left out with the dataset of its origin when that has diverged before it had the origin', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot -r pool/b@s1');
    const target = having(source, empty(), 'pool/b@s1', replication).run('snapshot pool/b/1@mine');
    source.run('snapshot pool/b/1@o', 'clone pool/b/1@o pool/b/2', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', { ...replication, selfContained: true });
    expect(table(result)).toEqual(['incr pool/b@s2 pool/b@s1']);
    expect(result.ok && result.refused?.map(({ dataset, error }) => [dataset, error.code])).toEqual([
      ['pool/b/1', 'DIVERGED'],
      ['pool/b/2', 'DIVERGED'],
    ]);
  });

  it('begins after a promotion at the newest snapshot that is there', () => {
    const source = new PoolModel('src', 'pool').run(
      'create pool/b',
      'create pool/b/1',
      'snapshot -r pool/b@s1',
      'snapshot -r pool/b@s2',
    );
    const target = having(source, empty(), 'pool/b@s2', replication);
    source.run('clone pool/b/1@s2 pool/b/2', 'snapshot -r pool/b@s3');
    having(source, target, 'pool/b/1', {});
    source.run('promote pool/b/2', 'snapshot -r pool/b@s4');
    expect(table(planned(source, target, 'pool/b@s4', replication))).toContain('incr pool/b/2@s3 pool/b/2@s2');
  });

  it('sends a single clone whole with -c', () => {
    expect(table(planned(documentTree(), empty(), 'pool/b/1', { selfContained: true }))).toEqual([
      'full pool/b/1@clone2 -',
      'incr pool/b/1@pre-send pool/b/1@clone2',
      'incr pool/b/1@send pool/b/1@pre-send',
    ]);
  });
});

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

  it('a descendant was renamed: it is refused with what lies below it, says where it is, and goes on once renamed there', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('rename pool/b/1 pool/b/moved', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(table(result)).toEqual(['incr pool/b@s2 pool/b@s1']);
    expect(result.ok && result.refused).toMatchObject([
      { dataset: 'pool/b/moved', error: { code: 'EXISTS', details: { formerly: 'pool/b/1' } } },
      { dataset: 'pool/b/moved/x', error: { code: 'EXISTS', details: { needs: 'pool/b/moved' } } },
    ]);
    expect(result.ok && result.refused?.[0]?.error.message).toContain('zfs rename pool/b/1 pool/b/moved on dst');
    target.run('rename pool/b/1 pool/b/moved');
    expect(table(planned(source, target, 'pool/b@s2', replication))).toEqual([
      'incr pool/b@s2 pool/b@s1',
      'incr pool/b/moved@s2 pool/b/moved@s1',
      'incr pool/b/moved/x@s2 pool/b/moved/x@s1',
    ]);
  });

  it('another took its name: both are refused, and nothing of the old one is touched', () => {
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

  it('what another host received from the same image is never written to', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    const image = { name: 'v1', guid: '77', createtxg: 3 };
    source.run('create pool/b/vm');
    source.datasets.get('pool/b/vm')?.snapshots.push(image);
    source.run('snapshot -r pool/b@s2');
    target.run('create pool/b/theirs');
    target.datasets.get('pool/b/theirs')?.snapshots.push({ ...image });
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(result.ok && result.steps.map((step) => step.target)).not.toContain('pool/b/theirs');
    expect(result.ok && result.refused?.map(({ dataset }) => dataset)).toEqual(['pool/b/vm']);
    // the way out that it is told
    expect(table(planned(source, target, 'pool/b/vm'))).toEqual([
      'full pool/b/vm@v1 -',
      'incr pool/b/vm@s2 pool/b/vm@v1',
    ]);
  });

  it('a descendant of a dataset without snapshots was renamed: it is refused and says where it is', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/old', 'snapshot pool/b/old@s');
    const target = having(source, empty(), 'pool/b', replication);
    source.run('rename pool/b/old pool/b/new', 'snapshot pool/b/new@u');
    expect(planned(source, target, 'pool/b', replication)).toMatchObject({
      ok: false,
      error: { code: 'EXISTS', details: { dataset: 'pool/b/new', formerly: 'pool/b/old' } },
    });
    target.run('rename pool/b/old pool/b/new');
    expect(table(planned(source, target, 'pool/b', replication))).toEqual(['incr pool/b/new@u pool/b/new@s']);
  });

  it.each([
    ['without snapshots', []],
    ['that was received', ['snapshot pool@s0']],
  ])('another backup below the same root, %s, is not taken for what was renamed', (_, made) => {
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

  it('a copy is not taken for what it was copied from, also when that is left out', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication);
    const copy = source.find('pool/b/1@s1');
    source.run('create pool/b/copy');
    if (copy) source.datasets.get('pool/b/copy')?.snapshots.push({ ...copy });
    source.run('snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', { ...replication, exclude: ['1'] });
    expect(table(result)).toContain('full pool/b/copy@s1 -');
  });

  it('one that diverged is refused with its evidence, and the others go on', () => {
    const source = first();
    const target = having(source, empty(), 'pool/b@s1', replication).run('snapshot pool/b/1@mine');
    source.run('snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(table(result)).toEqual(['incr pool/b@s2 pool/b@s1', 'incr pool/b/1/x@s2 pool/b/1/x@s1']);
    expect(result.ok && result.refused).toMatchObject([
      {
        dataset: 'pool/b/1',
        target: 'pool/b/1',
        error: { code: 'DIVERGED' },
        evidence: { newestCommon: 's1', sourceOnly: ['s2'], targetOnly: ['mine'] },
      },
    ]);
  });

  it('a dataset that was a placeholder has snapshots now: it is refused, and what is new below it is not', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot pool/b/1@s1');
    const target = having(source, empty(), 'pool/b', replication);
    source.run('create pool/b/2', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    expect(result.ok && result.refused).toMatchObject([{ dataset: 'pool/b', error: { code: 'EXISTS' } }]);
    expect(table(result)).toEqual(['incr pool/b/1@s2 pool/b/1@s1', 'full pool/b/2@s2 -']);
  });

  it.each([
    ['without', []],
    ['with', ['snapshot pool/b/1@mine']],
  ])(
    'a volume %s snapshots is in the way: what would lie below it is left out too, and the others go on',
    (_, more) => {
      const source = first();
      const target = having(source, empty(), 'pool/b@s1', {}).run('create -V pool/b/1', ...more);
      source.run('create pool/b/z', 'snapshot -r pool/b@s2');
      const result = planned(source, target, 'pool/b@s2', replication);
      expect(table(result)).toEqual(['incr pool/b@s2 pool/b@s1', 'full pool/b/z@s2 -']);
      expect(result.ok && result.refused?.map(({ dataset }) => dataset)).toEqual(['pool/b/1', 'pool/b/1/x']);
    },
  );

  it('what lies below a dataset that is refused, and clones of it, are refused with it', () => {
    const source = first();
    const target = empty().run('create pool/b', 'snapshot pool/b@other');
    const result = planned(source, target, 'pool/b@s1', replication);
    expect(result).toMatchObject({ ok: false, error: { code: 'DIVERGED' } });
    expect(!result.ok && result.error.message).toContain('Refused as well: pool/b/1, pool/b/1/x');
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

  it('are an error that names them and the ways out', () => {
    const result = planned(source(), empty(), 'pool/b@s', replication);
    expect(result).toMatchObject({ ok: false, error: { code: 'NO_SUCH_SNAPSHOT', details: { dataset: 'pool/b/2' } } });
    expect(!result.ok && result.error.message).toContain('--skip-missing');
  });

  it('are left out with their descendants when asked, and said', () => {
    const result = planned(source(), empty(), 'pool/b@s', { ...replication, skipMissing: true });
    expect(table(result)).toEqual(['full pool/b@s -', 'full pool/b/1@s -']);
    expect(result.ok && result.notes?.map(({ kind, dataset }) => [kind, dataset])).toEqual([
      ['skipped', 'pool/b/2'],
      ['skipped', 'pool/b/late'],
    ]);
  });

  it('are left out unasked where they are younger than it', () => {
    const clean = source().run('destroy pool/b/2');
    expect(table(planned(clean, empty(), 'pool/b@s', replication))).toEqual(['full pool/b@s -', 'full pool/b/1@s -']);
  });

  it('is an error always where it is the package itself that lacks it', () => {
    expect(table(planned(source(), empty(), 'pool/b@no', { ...replication, skipMissing: true }))).toBe(
      'NO_SUCH_SNAPSHOT',
    );
  });
});

it('a package has only what lies below it, not what has a name that begins alike', () => {
  const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/bb', 'snapshot -r pool@s');
  expect(table(planned(source, empty(), 'pool/b@s', replication))).toEqual(['full pool/b@s -']);
  const here = source.inventory();
  const beside = { dataset: 'pool/bb@s', ...replication, to: { host: 'src', dataset: 'pool/b' } };
  expect(table(plan(beside, here, here))).not.toBe('BAD_REQUEST');
});

describe('choosing', () => {
  const source = () =>
    new PoolModel('src', 'pool').run(
      'create pool/b',
      'create pool/b/1',
      'create pool/b/1/tmp',
      'create pool/b/tmp',
      'create pool/b/tmp/x',
      'snapshot -r pool/b@hourly-1',
      'snapshot -r pool/b@daily-1',
      'snapshot -r pool/b@hourly-2',
      'snapshot -r pool/b@end',
    );
  const targets = (result: Plan) =>
    result.ok ? [...new Set(result.steps.map((step) => step.target))] : result.error.code;

  it.each([
    ['by the name below the package', ['tmp'], ['pool/b', 'pool/b/1', 'pool/b/1/tmp']],
    ['by the whole name', ['pool/b/1'], ['pool/b', 'pool/b/tmp', 'pool/b/tmp/x']],
    ['in one element with *', ['*/tmp'], ['pool/b', 'pool/b/1', 'pool/b/tmp', 'pool/b/tmp/x']],
    ['at any depth with **', ['**/tmp'], ['pool/b', 'pool/b/1']],
    ['by several patterns', ['1', 't?p'], ['pool/b']],
  ])('excludes datasets and what lies below them %s', (_, exclude, left) => {
    expect(targets(planned(source(), empty(), 'pool/b@end', { ...replication, exclude }))).toEqual(left);
  });

  it('does not exclude the package itself', () => {
    expect(table(planned(source(), empty(), 'pool/b@end', { ...replication, exclude: ['pool/*'] }))).toBe(
      'BAD_REQUEST',
    );
  });

  it('of the intermediate snapshots sends those that match, and the named one always', () => {
    const asked = { ...replication, snapshots: ['hourly-*'], exclude: ['*'] };
    expect(table(planned(source(), empty(), 'pool/b@end', asked))).toEqual([
      'full pool/b@hourly-1 -',
      'incr pool/b@hourly-2 pool/b@hourly-1',
      'incr pool/b@end pool/b@hourly-2',
    ]);
    expect(table(planned(source(), empty(), 'pool/b', asked))).toHaveLength(2);
  });

  it('keeps bases right: goes on from the newest common snapshot, matching or not', () => {
    const one = source();
    const target = having(one, empty(), 'pool/b@daily-1', {});
    expect(table(planned(one, target, 'pool/b', { snapshots: ['hourly-*'] }))).toEqual([
      'incr pool/b@hourly-2 pool/b@daily-1',
    ]);
  });

  it('sends origins of clones in the package, matching or not', () => {
    const one = source().run('clone pool/b/1@daily-1 pool/b/clone', 'snapshot pool/b/clone@hourly-9');
    expect(
      table(planned(one, empty(), 'pool/b', { ...replication, snapshots: ['hourly-*'], exclude: ['**/tmp'] })),
    ).toEqual([
      'full pool/b@hourly-1 -',
      'incr pool/b@hourly-2 pool/b@hourly-1',
      'full pool/b/1@hourly-1 -',
      'incr pool/b/1@daily-1 pool/b/1@hourly-1',
      'incr pool/b/1@hourly-2 pool/b/1@daily-1',
      'incr pool/b/clone@hourly-9 pool/b/1@daily-1',
    ]);
  });

  it('is refused where nothing matches', () => {
    expect(table(planned(source(), empty(), 'pool/b', { ...replication, snapshots: ['no*'] }))).toBe(
      'NO_SUCH_SNAPSHOT',
    );
    expect(table(planned(source(), empty(), 'pool/b', { snapshots: ['no*'] }))).toBe('NO_SUCH_SNAPSHOT');
  });
});

describe('names on the target', () => {
  const source = () => new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot -r pool/b@s');
  const target = () => empty('tank').run('create tank/backup');
  const names = (to: SendRequest['to']) => {
    const result = planned(source(), target(), 'pool/b@s', { ...replication, to });
    return result.ok ? result.steps.map((step) => step.target) : result.error.code;
  };

  it.each([
    ['are the very name', undefined, ['tank/backup/x', 'tank/backup/x/1']],
    ['have the path appended with -d', 'path', ['tank/backup/x/b', 'tank/backup/x/b/1']],
    ['have the last element appended with -e', 'last', ['tank/backup/x/b', 'tank/backup/x/b/1']],
  ] as const)('%s', (_, append, expected) => {
    expect(names({ host: 'dst', dataset: 'tank/backup/x', ...(append && { append }) })).toEqual(expected);
  });

  it('notes the parents that will be made, each once', () => {
    const result = planned(source(), target(), 'pool/b@s', {
      ...replication,
      to: { host: 'dst', dataset: 'tank/backup/x/y/z' },
    });
    expect(result.ok && result.notes?.map(({ kind, dataset }) => [kind, dataset])).toEqual([
      ['placeholder', 'tank/backup/x'],
      ['placeholder', 'tank/backup/x/y'],
    ]);
    const parents = ['tank/backup/x', 'tank/backup/x/y'];
    expect(result.ok && result.steps.map((step) => step.parents)).toEqual([parents, parents]);
  });

  it('has no parents made in the place of what is sent', () => {
    const result = planned(source(), target(), 'pool/b@s', {
      ...replication,
      to: { host: 'dst', dataset: 'tank/backup/x' },
    });
    expect(result.ok && result.steps.map((step) => step.parents)).toEqual([undefined, undefined]);
  });

  it.each([
    [
      'is encrypted with its key not loaded',
      { encryption: 'aes-256-gcm', keystatus: 'unavailable' },
      {},
      'KEY_REQUIRED',
    ],
    ['is a volume', { type: 'volume' }, {}, 'UNSUPPORTED'],
  ] as const)('refuses to have parents made where what is above %s', (_, above, sent, code) => {
    const [from, into] = [source().inventory(), target().inventory()];
    const asked = { dataset: 'pool/b@s', ...replication, to: { host: 'dst', dataset: 'tank/backup/x/y' } };
    const change = (list: typeof from, name: string, what: object) => ({
      ...list,
      datasets: list.datasets.map((entry) => (entry.name === name ? { ...entry, ...what } : entry)),
    });
    expect(table(plan(asked, change(from, 'pool/b', sent), change(into, 'tank/backup', above)))).toBe(code);
  });

  it('lets lie unencrypted what is encrypted only where that is asked for, and notes it', () => {
    const from = source().inventory();
    const encrypted = from.datasets.map((entry) => ({ ...entry, encryption: 'aes-256-gcm' }));
    const asked = { dataset: 'pool/b@s', ...replication, to: { host: 'dst', dataset: 'tank/backup/b' } };
    const raw = plan(asked, { ...from, datasets: encrypted }, target().inventory());
    expect(raw.ok && [raw.steps.map(({ flags }) => flags), raw.notes]).toEqual([[['raw'], ['raw']], undefined]);
    const clear = plan({ ...asked, stream: { raw: false } }, { ...from, datasets: encrypted }, target().inventory());
    expect(clear.ok && [clear.steps.map(({ flags }) => flags), clear.notes?.map(({ kind }) => kind)]).toEqual([
      [undefined, undefined],
      ['in-the-clear', 'in-the-clear'],
    ]);
  });

  it('notes a pattern that excludes nothing', () => {
    const result = planned(source(), target(), 'pool/b@s', {
      ...replication,
      exclude: ['nope'],
      to: { host: 'dst', dataset: 'tank/b' },
    });
    expect(result.ok && result.notes?.map(({ kind }) => kind)).toEqual(['unmatched']);
  });

  it('refuses a name that becomes too long', () => {
    // pool/b@s and pool/b/1@s: as long as a name may be, 255 characters, and one more
    expect(names({ host: 'dst', dataset: `tank/${'x'.repeat(246)}` })).toHaveLength(2);
    expect(names({ host: 'dst', dataset: `tank/${'x'.repeat(247)}` })).toBe('BAD_REQUEST');
  });
});

describe('a request or a listing that cannot be right', () => {
  it.each([
    ['-R with -i', 'pool/b@send', { ...replication, from: '@pre-send' }],
    ['-R with --full', 'pool/b@send', { ...replication, full: true }],
    ['-r without a snapshot', 'pool/b', recursive],
    ['-c with -i', 'pool/b@send', { from: '@pre-send', selfContained: true }],
    ['--exclude without a package', 'pool/b', { exclude: ['x'] }],
    ['--skip-missing without a package', 'pool/b@send', { skipMissing: true }],
    ['--skip-missing without a snapshot', 'pool/b', { ...replication, skipMissing: true }],
    ['--snapshots with -r', 'pool/b@send', { ...recursive, snapshots: ['x'] }],
    ['--snapshots with -i', 'pool/b@send', { from: '@pre-send', snapshots: ['x'] }],
    ['-d without a dataset', 'pool/b', { to: { host: 'dst', append: 'path' } }],
  ] as [string, string, Partial<SendRequest>][])('is refused: %s', (_, what, more) => {
    expect(table(planned(documentTree(), empty(), what, more))).toBe('BAD_REQUEST');
  });

  it.each([
    ['the source itself', 'pool/b'],
    ['inside the source', 'pool/b/1/x'],
    ['what the source lies in', 'pool'],
  ])('is refused on one host: the target is %s', (_, dataset) => {
    const here = documentTree().inventory();
    expect(table(plan({ dataset: 'pool/b@send', ...replication, to: { host: 'src', dataset } }, here, here))).toBe(
      'BAD_REQUEST',
    );
  });

  it.each([
    [
      'two datasets with one guid',
      (one: PoolModel) => {
        const twin = one.datasets.get('pool/b/1');
        if (twin) one.datasets.set('pool/b/2', { ...twin, snapshots: [] });
      },
      'two datasets with the guid',
    ],
    [
      'clones in a circle',
      (one: PoolModel) => {
        const [a, b] = [one.datasets.get('pool/b/1'), one.datasets.get('pool/b/2')];
        if (a) a.origin = b?.snapshots[0] as never;
        if (b) b.origin = a?.snapshots[0] as never;
      },
      'clones in a circle: pool/b/1, pool/b/2',
    ],
    [
      'a clone of itself',
      (one: PoolModel) => {
        const itself = one.datasets.get('pool/b/1');
        if (itself) itself.origin = itself.snapshots[0] as never;
      },
      'clones in a circle: pool/b/1',
    ],
  ])('is refused: %s', (_, spoil, words) => {
    const source = documentTree();
    spoil(source);
    const result = planned(source, empty(), 'pool/b@send', { ...replication, selfContained: true });
    expect(!result.ok && [result.error.code, result.error.message]).toEqual([
      'BAD_REQUEST',
      expect.stringContaining(words),
    ]);
  });

  it('is refused: a dataset that is not there', () => {
    expect(table(planned(documentTree(), empty(), 'pool/nope', replication))).toBe('NO_SUCH_DATASET');
  });
});
