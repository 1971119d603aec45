import { describe, expect, it } from 'vitest';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { PoolModel } from '../../../support/pool-model.ts';
import { documentTree, empty, having, planned, recursive, replication, table, withOrigin } from './package-cases.ts';

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

  it.each([replication, recursive])('is refused without the origin outside, with both names and the fixes', (asked) => {
    const result = planned(documentTree(), empty(), 'pool/b@send', asked);
    expect(result).toMatchObject({
      error: { code: 'ORIGIN_MISSING', details: { clone: 'pool/b/1', origin: 'pool/a/1@clone' } },
    });
    expect(!result.ok && result.error.message).toEqual(
      mentions('pool/b/1', 'src', 'pool/a/1@clone', 'pool/a/1', 'dst', '-c', 'pool/b/2'),
    );
  });

  it('is complete with all snapshots, and a second plan is empty', () => {
    for (const asked of [replication, recursive]) {
      const source = documentTree();
      const target = having(source, withOrigin(source), 'pool/b@send', asked);
      expect(planned(source, target, 'pool/b@send', asked)).toEqual({ ok: true, steps: [] });
    }
  });

  it('continues from any step at which it was interrupted', () => {
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

  it('sends volumes like filesystems', () => {
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

  it('continues after a promotion between runs', () => {
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

  it('names the bookmark with which a dataset continues that lost its common snapshot to a promotion', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot -r pool/b@s1');
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('clone pool/b/1@s1 pool/b/2', 'promote pool/b/2', 'snapshot -r pool/b@s2');
    const result = planned(source, target, 'pool/b@s2', replication);
    const refused = result.ok ? result.refused?.[0] : undefined;
    expect(refused).toMatchObject({ dataset: 'pool/b/1', error: { code: 'DIVERGED' } });
    expect(refused?.error.message).toEqual(mentions('zfs bookmark pool/b/2@s1 pool/b/1#s1', 'src'));
    source.datasets
      .get('pool/b/1')
      ?.bookmarks.push({ name: 's1', guid: source.find('pool/b/2@s1')?.guid ?? '', createtxg: 5 });
    expect(table(planned(source, target, 'pool/b@s2', replication))).toContain('incr pool/b/1@s2 pool/b/1#s1');
  });

  it('does not send again the snapshots that a promotion has moved into a dataset that the target lacks', () => {
    const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/b/1', 'snapshot -r pool/b@s1');
    const target = having(source, empty(), 'pool/b@s1', replication);
    source.run('clone pool/b/1@s1 pool/b/2', 'snapshot -r pool/b@s2');
    having(source, target, 'pool/b/1', {});
    source.run('promote pool/b/2', 'snapshot -r pool/b@s3');
    const result = planned(source, target, 'pool/b@s3', replication);
    expect(result.ok && result.steps.find(({ targetDataset: name }) => name === 'pool/b/2')).toMatchObject({
      from: { name: 'pool/b/2@s1' },
      to: { name: 'pool/b/2@s2' },
      origin: 'pool/b/1@s1',
    });
    expect(having(source, target, 'pool/b@s3', replication).find('pool/b/2@s3')).toBeDefined();
  });

  /** pool/b is a clone of pool/b/1@o, which is inside it: the result of a promotion. */
  const insideOut = () =>
    new PoolModel('src', 'pool').run(
      'create pool/b',
      'snapshot pool/b@o',
      'clone pool/b@o pool/b/1',
      'promote pool/b/1',
      'snapshot -r pool/b@s',
    );

  it('refuses a clone of a dataset inside it, and sends it whole with -c', () => {
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

  it('sends a clone whole with -c also if the listing does not show the guid of its origin', () => {
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

  it('is left out with the dataset of its origin if that has diverged before it had the origin', () => {
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

  it('starts after a promotion at the newest existing snapshot', () => {
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

it('a package has only descendants, and no datasets whose names start alike', () => {
  const source = new PoolModel('src', 'pool').run('create pool/b', 'create pool/bb', 'snapshot -r pool@s');
  expect(table(planned(source, empty(), 'pool/b@s', replication))).toEqual(['full pool/b@s -']);
  const here = source.inventory();
  const beside = { dataset: 'pool/bb@s', ...replication, to: { host: 'src', dataset: 'pool/b' } };
  expect(table(plan(beside, here, here))).not.toBe('BAD_REQUEST');
});
