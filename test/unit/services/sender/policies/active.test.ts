import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import type { BucketPolicy } from '../../../../../lib/bus/policies/bucket.ts';
import { policySchema } from '../../../../../schemas/policy.ts';
import { activePolicies, filePolicies } from '../../../../../services/sender/policies/active.ts';
import { withoutLoops } from '../../../../../services/sender/policies/loops.ts';
import { covers, isAbout, type Policy, policyOf } from '../../../../../services/sender/policies/policy.ts';
import { mentions } from '../../../../support/mentions.ts';

type PolicyConfig = z.input<typeof policySchema>;
const policy = (dataset: string, to: PolicyConfig['to'], more: Partial<PolicyConfig> = {}, host = 'a'): Policy =>
  policyOf(host, `${host}.${dataset}`, policySchema.parse({ dataset, to, ...more }));

const tree = { recursive: true };

describe('a policy', () => {
  test('of the design’s configuration file is one job to both targets', () => {
    const configured = policySchema.parse({
      dataset: 'zones/vm',
      recursive: true,
      exclude: ['zones/vm/*/tmp'],
      to: ['smos-00', 'dr-site-1'],
      package: 'replication',
    });
    const made = policyOf('smos-01', 'send.policies.0', configured);
    const asked = { dataset: 'zones/vm', exclude: ['zones/vm/*/tmp'], package: 'replication' };
    expect(made.targets.map(({ request }) => request)).toEqual([
      { ...asked, to: { host: 'smos-00' } },
      { ...asked, to: { host: 'dr-site-1' } },
    ]);
  });

  test.each<[string | object, object]>([
    ['dr-1', { host: 'dr-1' }],
    ['dr-1:tank/vm', { host: 'dr-1', dataset: 'tank/vm' }],
    ['dr-1:tank/a:b c', { host: 'dr-1', dataset: 'tank/a:b c' }],
    [
      { host: 'dr-1', dataset: 'tank', append: 'last' },
      { host: 'dr-1', dataset: 'tank', append: 'last' },
    ],
  ])('names a target as %j', (place, target) =>
    expect(policy('zones/vm', [place] as PolicyConfig['to']).targets[0]?.request.to).toEqual(target),
  );

  test.each<[string, object, string]>([
    ['no target', { to: [] }, 'to'],
    ['too many targets', { to: Array.from({ length: 17 }, (_, at) => `h${at}`) }, 'to'],
    ['a host that is no token', { to: ['a.b'] }, 'to'],
    ['a target that is no dataset', { to: ['b:-rf'] }, 'to'],
    ['the name that stands for all', { to: ['_fan:tank'] }, 'to'],
    ['a snapshot', { dataset: 'zones/vm@now' }, 'dataset'],
    ['a package of one snapshot', { package: 'recursive' }, 'package'],
    ['something unknown', { too: 1 }, ''],
  ])('with %s is none', (_what, more, path) => {
    const parsed = policySchema.safeParse({ dataset: 'zones/vm', to: ['b'], ...more });
    expect(parsed.error?.issues[0]?.path[0] ?? '').toBe(path);
    expect(parsed.success).toBe(false);
  });

  test.each<[string, () => Policy, string[]]>([
    ['into itself', () => policy('zones/vm', ['a']), ['zones/vm', 'a']],
    ['into a dataset below itself', () => policy('zones/vm', ['a:zones/vm/copy']), ['zones/vm', 'zones/vm/copy']],
    ['into a dataset above itself', () => policy('zones/vm', ['a:zones']), ['zones/vm', 'zones']],
    ['twice to one target', () => policy('zones/vm', ['b', 'b:zones/vm']), ['zones/vm', 'b']],
    [
      'with a package inside another',
      () => policy('zones/vm', ['b', 'b:zones/vm/x'], tree),
      ['zones/vm', 'zones/vm/x', 'b'],
    ],
    ['recursive and not', () => policy('zones/vm', ['b'], { recursive: false, package: 'replication' }), ['recursive']],
    ['excluding something of one dataset', () => policy('zones/vm', ['b'], { exclude: ['x'] }), ['--exclude']],
  ])('%s is refused with an error that names it', (_what, make, facts) => {
    expect(make).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', message: mentions(...facts) }));
  });

  test('covers only the datasets and snapshots that it sends', () => {
    const one = policy('zones/vm', ['b']);
    expect(['zones/vm', 'zones/vm/1'].map((name) => covers(one, name))).toEqual([true, false]);
    const all = policy('zones/vm', ['b'], { ...tree, exclude: ['zones/vm/*/tmp', 'scratch'], snapshots: ['daily*'] });
    const about = ['zones/vm', 'zones/vm/1', 'zones/vm/1/tmp', 'zones/vm/1/tmp/x', 'zones/vm/scratch', 'zones/vmx'];
    expect(about.map((name) => covers(all, name))).toEqual([true, true, false, false, false, false]);
    expect(['zones/vm/1@daily-1', 'zones/vm/1@hourly'].map((name) => isAbout(all, name))).toEqual([true, false]);
  });
});

describe('a replication loop', () => {
  test.each<[string, Policy[], boolean]>([
    ['there and back', [policy('t/x', ['b'], {}, 'a'), policy('t/x', ['a'], {}, 'b')], true],
    ['back to another dataset', [policy('t/x', ['b:p/x'], {}, 'a'), policy('p/x', ['a:t/y'], {}, 'b')], false],
    [
      'a backup of the backups, back into the tree',
      [policy('t', ['b:p/a'], tree, 'a'), policy('p', ['a:t/from-b'], tree, 'b')],
      true,
    ],
    [
      'the same, with the returning dataset excluded',
      [policy('t', ['b:p/a'], { ...tree, exclude: ['from-b'] }, 'a'), policy('p', ['a:t/from-b'], tree, 'b')],
      false,
    ],
    [
      'two that back each other up',
      [policy('t/data', ['b:t/backup/a'], tree, 'a'), policy('t/data', ['a:t/backup/b'], tree, 'b')],
      false,
    ],
    [
      'over three hosts',
      [policy('t/x', ['b:u/x'], tree, 'a'), policy('u', ['c:v'], tree, 'b'), policy('v/x/y', ['a:t/x/y/z'], {}, 'c')],
      true,
    ],
    [
      'a policy that sends less than a loop needs',
      [policy('t/x', ['b:u/x'], {}, 'a'), policy('u/x/y', ['a:t/x'], {}, 'b')],
      false,
    ],
  ])('%s', (_what, all, isLoop) => {
    const { kept, left } = withoutLoops(all);
    // the policy that closes it is left out
    expect([...left.keys()]).toEqual(isLoop ? all.slice(-1) : []);
    expect(kept).toEqual(isLoop ? all.slice(0, -1) : all);
  });

  /** The part of a set of datasets that a policy sends, each with the dataset that it copies. */
  type World = Map<string, Set<string>>;
  function flow(world: World, policies: readonly Policy[]): void {
    for (const one of policies) {
      for (const [place, of] of [...world]) {
        const [host = '', dataset = ''] = place.split(':');
        if (host !== one.host || !covers(one, dataset)) continue;
        for (const to of one.targets) {
          const there = `${to.targetHost}:${to.targetDataset + dataset.slice(one.dataset.length)}`;
          world.set(there, new Set([...(world.get(there) ?? []), place, ...of]));
        }
      }
    }
  }

  test('is found if a dataset comes back to the host and dataset that it was sent from', () => {
    const place = fc.constantFrom('t', 't/x', 't/x/y', 't/z');
    const host = fc.constantFrom('a', 'b', 'c');
    const any = fc
      .record({ from: host, dataset: place, to: host, at: place, recursive: fc.boolean() })
      .filter(({ from, to }) => from !== to)
      .map(({ from, dataset, to, at, recursive }) => policy(dataset, [`${to}:${at}`], { recursive }, from));
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 4 }), (policies) => {
        const { kept: accepted } = withoutLoops(policies);
        const world: World = new Map();
        for (const on of ['a', 'b', 'c']) {
          for (const name of ['t', 't/x', 't/x/y', 't/z']) world.set(`${on}:${name}`, new Set());
        }
        for (let round = 0; round < 6; round += 1) flow(world, accepted);
        for (const [there, of] of world) expect([there, of.has(there)]).toEqual([there, false]);
        expect(world.size).toBeLessThan(500);
      }),
    );
  });
});

describe('the active policies', () => {
  const entry = (key: string, value: unknown, revision = 1): BucketPolicy => ({
    key,
    revision,
    text: typeof value === 'string' ? value : JSON.stringify(value),
  });
  const names = ({ policies }: { policies: readonly Policy[] }) => policies.map(({ name }) => name);

  test('are those of the file, and those of the bucket for this host and other datasets', () => {
    const file = filePolicies('a', [policySchema.parse({ dataset: 't/x', to: ['b'] })]);
    const found = activePolicies('a', file, [
      entry('a.x', { dataset: 't/x', to: ['c'] }),
      entry('a.y', { dataset: 't/y', to: ['c'] }),
      entry('b.y', { dataset: 't/y', to: ['c:t/other'] }),
    ]);
    expect(names(found).sort()).toEqual(['a.y', 'send.policies.0']);
    expect(found.refused).toEqual([{ name: 'a.x', why: mentions('t/x') }]);
  });

  test.each<[string, unknown, string[]]>([
    ['no JSON', '{', ['JSON']],
    ['nothing', '', ['JSON']],
    ['a text', '"t/x"', ['object']],
    ['no policy', { dataset: 't/x', to: ['b'], when: 'daily' }, ['"when"']],
    ['itself', { dataset: 't/x', to: ['a'] }, ['t/x', 'a']],
  ])('is not a value that is %s, and the others are', (_what, value, facts) => {
    const found = activePolicies('a', [], [entry('a.bad', value), entry('a.good', { dataset: 't/y', to: ['b'] })]);
    expect(names(found)).toEqual(['a.good']);
    expect(found.refused).toEqual([{ name: 'a.bad', why: mentions(...facts) }]);
    // another host reports its own
    expect(activePolicies('b', [], [entry('a.bad', value)]).refused).toEqual([]);
  });

  test('a key that names no host is reported', () =>
    expect(activePolicies('a', [], [entry('vm', {})]).refused).toEqual([{ name: 'vm', why: mentions('<host>') }]));

  test('of two that form a loop include the older, on every host alike', () => {
    const entries = [
      entry('b.back', { dataset: 't/x', to: ['a'] }, 7),
      entry('a.there', { dataset: 't/x', to: ['b'] }, 3),
    ];
    expect(names(activePolicies('a', [], entries))).toEqual(['a.there']);
    const { policies, refused } = activePolicies('b', [], entries);
    expect(policies).toEqual([]);
    expect(refused[0]?.why).toEqual(mentions('b:t/x', 'a:t/x', 'b.back'));
  });

  test('exclude a file’s policy that forms a loop only here, since no other host sees the file', () => {
    const file = filePolicies('a', [policySchema.parse({ dataset: 't/x', to: ['b'] })]);
    const found = activePolicies('a', file, [entry('b.back', { dataset: 't/x', to: ['a'] })]);
    expect(found).toEqual({ policies: [], refused: [{ name: 'send.policies.0', why: mentions('b.back') }] });
  });

  test('exclude a policy that writes to the target of an older one, or repeats its delivery', () => {
    const found = activePolicies(
      'a',
      [],
      [
        entry('a.one', { dataset: 't/x', to: ['b:p'] }, 1),
        entry('a.two', { dataset: 't/y', to: ['b:p'] }, 2),
        entry('a.three', { dataset: 't/x', to: ['b:p', 'c'] }, 3),
      ],
    );
    expect(names(found)).toEqual(['a.one']);
    expect(found.refused.map(({ why }) => why)).toEqual([mentions('a.one', 'a:t/x', 'b:p'), mentions('a.one', 'b:p')]);
  });

  test('a file with two contradicting policies is refused whole', () => {
    const both = [
      { dataset: 't/x', recursive: true, to: ['a:u/x'] },
      { dataset: 'u', recursive: true, to: ['a:t/x/y'] },
    ].map((value) => policySchema.parse(value));
    expect(() => filePolicies('a', both)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions('send.policies.1') }),
    );
  });
});
