import { describe, expect, it } from 'vitest';
import type { Plan } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { PoolModel } from '../../../support/pool-model.ts';
import { documentTree, empty, having, planned, recursive, replication, table } from './package-cases.ts';

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
    result.ok ? [...new Set(result.steps.map((step) => step.targetDataset))] : result.error.code;

  it.each([
    ['by the name below the package', ['tmp'], ['pool/b', 'pool/b/1', 'pool/b/1/tmp']],
    ['by the whole name', ['pool/b/1'], ['pool/b', 'pool/b/tmp', 'pool/b/tmp/x']],
    ['in one element with *', ['*/tmp'], ['pool/b', 'pool/b/1', 'pool/b/tmp', 'pool/b/tmp/x']],
    ['at any depth with **', ['**/tmp'], ['pool/b', 'pool/b/1']],
    ['by several patterns', ['1', 't?p'], ['pool/b']],
  ])('excludes datasets and their descendants %s', (_, exclude, left) => {
    expect(targets(planned(source(), empty(), 'pool/b@end', { ...replication, exclude }))).toEqual(left);
  });

  it('does not exclude the package itself', () => {
    expect(table(planned(source(), empty(), 'pool/b@end', { ...replication, exclude: ['pool/*'] }))).toBe(
      'BAD_REQUEST',
    );
  });

  it('sends matching intermediate snapshots, and always the named one', () => {
    const asked = { ...replication, snapshots: ['hourly-*'], exclude: ['*'] };
    expect(table(planned(source(), empty(), 'pool/b@end', asked))).toEqual([
      'full pool/b@hourly-1 -',
      'incr pool/b@hourly-2 pool/b@hourly-1',
      'incr pool/b@end pool/b@hourly-2',
    ]);
    expect(table(planned(source(), empty(), 'pool/b', asked))).toHaveLength(2);
  });

  it('continues from the newest common snapshot, matching or not', () => {
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

  it('is refused if no pattern matches', () => {
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
    return result.ok ? result.steps.map((step) => step.targetDataset) : result.error.code;
  };

  it.each([
    ['are the very name', undefined, ['tank/backup/x', 'tank/backup/x/1']],
    ['have the path appended with -d', 'path', ['tank/backup/x/b', 'tank/backup/x/b/1']],
    ['have the last element appended with -e', 'last', ['tank/backup/x/b', 'tank/backup/x/b/1']],
  ] as const)('%s', (_, append, expected) => {
    expect(names({ host: 'dst', dataset: 'tank/backup/x', ...(append && { append }) })).toEqual(expected);
  });

  it('are noted for the created parents, each once', () => {
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

  it('have no created parents under the name of a sent dataset', () => {
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
  ] as const)('refuses to create parents below a dataset that %s', (_, above, sent, code) => {
    const [from, into] = [source().inventory(), target().inventory()];
    const asked = { dataset: 'pool/b@s', ...replication, to: { host: 'dst', dataset: 'tank/backup/x/y' } };
    const change = (list: typeof from, name: string, what: object) => ({
      ...list,
      datasets: list.datasets.map((entry) => (entry.name === name ? { ...entry, ...what } : entry)),
    });
    expect(table(plan(asked, change(from, 'pool/b', sent), change(into, 'tank/backup', above)))).toBe(code);
  });

  it('hold an encrypted dataset unencrypted only on request, with a note', () => {
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

  it('are noted for a pattern that excludes nothing', () => {
    const result = planned(source(), target(), 'pool/b@s', {
      ...replication,
      exclude: ['nope'],
      to: { host: 'dst', dataset: 'tank/b' },
    });
    expect(result.ok && result.notes?.map(({ kind }) => kind)).toEqual(['unmatched']);
  });

  it('are refused if they are too long', () => {
    // pool/b@s and pool/b/1@s: as long as a name may be, 255 characters, and one more
    expect(names({ host: 'dst', dataset: `tank/${'x'.repeat(246)}` })).toHaveLength(2);
    expect(names({ host: 'dst', dataset: `tank/${'x'.repeat(247)}` })).toBe('BAD_REQUEST');
  });
});

describe('an impossible request or listing', () => {
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
    ['a parent of the source', 'pool'],
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
      ['pool/b/1', 'pool/b/2'],
    ],
    [
      'clones in a circle',
      (one: PoolModel) => {
        const [a, b] = [one.datasets.get('pool/b/1'), one.datasets.get('pool/b/2')];
        if (a) a.origin = b?.snapshots[0] as never;
        if (b) b.origin = a?.snapshots[0] as never;
      },
      ['pool/b/1', 'pool/b/2'],
    ],
    [
      'a clone of itself',
      (one: PoolModel) => {
        const itself = one.datasets.get('pool/b/1');
        if (itself) itself.origin = itself.snapshots[0] as never;
      },
      ['pool/b/1'],
    ],
  ])('is refused: %s', (_, spoil, facts) => {
    const source = documentTree();
    spoil(source);
    const result = planned(source, empty(), 'pool/b@send', { ...replication, selfContained: true });
    expect(!result.ok && [result.error.code, result.error.message]).toEqual(['BAD_REQUEST', mentions(...facts)]);
  });

  it('is refused: a missing dataset', () => {
    expect(table(planned(documentTree(), empty(), 'pool/nope', replication))).toBe('NO_SUCH_DATASET');
  });
});
