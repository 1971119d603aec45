import { describe, expect, it, test } from 'vitest';
import { afterResolution } from '../../../../../lib/plan/conflict/after-resolution.ts';
import { compareWrappings, keyHolder } from '../../../../../lib/plan/placement/key-wrapping.ts';
import { changingRoots, unseenInheritors } from '../../../../../lib/plan/placement/unseen-inheritors.ts';
import { predictInventory } from '../../../../../lib/plan/predict-target.ts';
import { isRefusal } from '../../../../../lib/plan/refusal.ts';
import { joinRoots, rootsOutside } from '../../../../../lib/zfs/key-columns.ts';
import type { ErrorBody } from '../../../../../schemas/errors.ts';
import type { DatasetEntry, KeyWrapping } from '../../../../../schemas/inventory.ts';
import type { SendRequest } from '../../../../../schemas/request.ts';
import { storable } from '../../../../../services/sender/delivery/storable.ts';
import { needsOf } from '../../../../../services/sender/planning/dependencies.ts';
import { startOf } from '../../../../../services/sender/transfer/receive-request.ts';
import { mentions } from '../../../../support/mentions.ts';
import { planDatasets } from '../../../../support/planning.ts';
import { dataset, inventory, request } from '../plan-history.ts';

const salted = (salt: string): KeyWrapping => ({ format: 'passphrase', salt, iterations: 350_000 });
const [old, now, local] = [salted('11'), salted('22'), salted('33')];
const hex: KeyWrapping = { format: 'hex' };

/** An encrypted dataset that takes its key from `root`. */
const keyed = (name: string, line: string, root: string, wrapping: KeyWrapping, more: Partial<DatasetEntry> = {}) =>
  dataset(name, line, { encryption: 'aes-256-gcm', keystatus: 'available', encryptionRoot: root, wrapping, ...more });

/** The source's tree of a root and two children; each has a second snapshot by default. */
function source(wrapping: KeyWrapping, second: string[] = ['t/r', 't/r/a', 't/r/b']): DatasetEntry[] {
  return ['t/r', 't/r/a', 't/r/b'].map((name, at) =>
    keyed(name, second.includes(name) ? `@1,${at + 1} @2,${at + 11}` : `@1,${at + 1}`, 't/r', wrapping),
  );
}
/** The same on the target as it was joined. */
const joined = (root: KeyWrapping, a = root, b = root): DatasetEntry[] => [
  keyed('p/r', '@1,1', 'p/r', root),
  keyed('p/r/a', '@1,2', 'p/r', a),
  keyed('p/r/b', '@1,3', 'p/r', b),
];

interface Case {
  from: DatasetEntry[];
  onto: DatasetEntry[];
  what?: string;
  more?: Partial<SendRequest>;
  arrived?: string[];
}

function planned({ from, onto, what = 't/r', more = { package: 'replication' }, arrived = [] }: Case) {
  const asked = request(what, { to: { host: 'dst', dataset: what.replace('t/', 'p/') }, ...more });
  const steps = arrived.map((name) => ({
    type: 'incremental' as const,
    to: { name: `${name}@2`, guid: '99' },
    targetDataset: name.replace('t/', 'p/'),
    flags: ['raw' as const],
  }));
  const target = inventory('dst', dataset('p', ''), ...onto);
  const plans = planDatasets(asked, inventory('src', ...from), target, steps);
  if (isRefusal(plans)) throw new Error(plans.error.message);
  return plans;
}
/** By dataset: the number of steps, or why there are none. */
const outcome = (one: Case): Record<string, number | string> =>
  Object.fromEntries(
    planned(one).datasets.map(({ sourceDataset: name, steps, refusal }) => [name, refusal?.error.code ?? steps.length]),
  );
const refusalOf = (one: Case, name: string): ErrorBody | undefined =>
  planned(one).datasets.find((plan) => plan.sourceDataset === name)?.refusal?.error;
const messageOf = (one: Case, name: string): string => refusalOf(one, name)?.message ?? '';
const no = 'KEY_MISMATCH';
const single = (name: string): Pick<Case, 'what' | 'more'> => ({ what: name, more: {} });

describe('edge case 26: a raw increment into a dataset that inherits its key on the target', () => {
  it('is sent if the root there has the key of the source’s root, with it or alone', () => {
    expect(outcome({ from: source(old), onto: joined(old) })).toEqual({ 't/r': 1, 't/r/a': 1, 't/r/b': 1 });
    expect(outcome({ from: source(old, ['t/r/a']), onto: joined(old) })).toEqual({ 't/r': 0, 't/r/a': 1, 't/r/b': 0 });
    const [, a] = joined(old);
    const alone = [{ ...(a as DatasetEntry), rootWrapping: old }];
    expect(outcome({ from: source(old), onto: alone, ...single('t/r/a') })).toEqual({ 't/r/a': 1 });
  });

  it('is refused below a root that was created there, or that lacks a change-key of the source', () => {
    for (const [from, root] of [
      [old, local],
      [now, old],
    ] as const) {
      const [, a] = joined(root, old);
      const alone = [{ ...(a as DatasetEntry), wrapping: root, rootWrapping: root }];
      const one = { from: source(from), onto: alone, ...single('t/r/a') };
      expect(outcome(one)).toEqual({ 't/r/a': no });
      expect(messageOf(one, 't/r/a')).toEqual(
        mentions(
          'zfs snapshot -r t/r@NAME',
          '-R',
          'zfs load-key p/r; zfs change-key -o keyformat=passphrase -o keylocation=prompt p/r/a',
        ),
      );
    }
  });

  it('is sent together with its root after a change-key, and after it', () => {
    const { datasets } = planned({ from: source(now), onto: joined(old) });
    expect(datasets.map(({ steps, keyFrom }) => [steps.length, keyFrom])).toEqual([
      [1, undefined],
      [1, 't/r'],
      [1, 't/r'],
    ]);
    expect(datasets.map(({ steps }) => steps[0]?.wrapping)).toEqual([now, now, now]);
    expect(needsOf(datasets)).toEqual([[], [{ chain: 0, key: true }], [{ chain: 0, key: true }]]);
  });

  it('is refused with all that inherit the key if the root has nothing to send', () => {
    const one = { from: source(now, ['t/r/a', 't/r/b']), onto: joined(old) };
    expect(outcome(one)).toEqual({ 't/r': 0, 't/r/a': no, 't/r/b': no });
    expect(messageOf(one, 't/r/a')).toEqual(mentions('t/r/a', 'src', 'zfs snapshot -r t/r@NAME'));
  });

  it('keeps its root back if another dataset that inherits the key there receives none', () => {
    const one = { from: source(now, ['t/r', 't/r/a']), onto: joined(old) };
    expect(outcome(one)).toEqual({ 't/r': no, 't/r/a': no, 't/r/b': 0 });
    expect(messageOf(one, 't/r')).toEqual(mentions('p/r/b', 'zfs snapshot -r t/r@NAME'));
    const more: Partial<SendRequest> = { package: 'replication', exclude: ['b'] };
    const excluded = { from: source(now), onto: joined(old), more };
    expect(outcome(excluded)).toEqual({ 't/r': no, 't/r/a': no });
    expect(messageOf(excluded, 't/r')).toEqual(mentions('p/r/b', 'zfs snapshot -r t/r@NAME'));
    expect(outcome({ from: source(now), onto: joined(old), ...single('t/r') })).toEqual({ 't/r': no });
    const stranger = [...joined(old), keyed('p/r/x', '@9,9', 'p/r', old)];
    expect(outcome({ from: source(now), onto: stranger })).toEqual({ 't/r': no, 't/r/a': no, 't/r/b': no });
  });

  it('keeps its root back if another one has diverged', () => {
    const [root, a] = joined(old);
    const onto = [root as DatasetEntry, a as DatasetEntry, keyed('p/r/b', '@1,3 @own,77', 'p/r', old)];
    const one = { from: source(now), onto };
    expect(outcome(one)).toEqual({ 't/r': no, 't/r/a': no, 't/r/b': 'DIVERGED' });
    expect(messageOf(one, 't/r')).toEqual(mentions('t/r/b', 'DIVERGED'));
    expect(outcome({ from: source(old), onto })).toEqual({ 't/r': 1, 't/r/a': 1, 't/r/b': 'DIVERGED' });
  });

  it('keeps its root back if another one was written to, until a policy resolves that', () => {
    const [root, a, b] = joined(old);
    const onto = [root as DatasetEntry, a as DatasetEntry, { ...(b as DatasetEntry), written: 5 }];
    const one = { from: source(now), onto };
    expect(outcome(one)).toEqual({ 't/r': no, 't/r/a': no, 't/r/b': no });
    expect(messageOf(one, 't/r/b')).toEqual(
      mentions('p/r/b', 'dst', 'MODIFIED', '--conflict rollback', '--conflict rotate'),
    );
    expect(messageOf(one, 't/r')).toEqual(mentions('t/r/b', 'KEY_MISMATCH'));
    for (const conflict of ['rollback', 'rotate'] as const) {
      const more: Partial<SendRequest> = { package: 'replication', conflict };
      expect(outcome({ ...one, more })).toEqual({ 't/r': 1, 't/r/a': 1, 't/r/b': 1 });
      const before = planned({ ...one, more }).datasets.map(({ steps }) => steps[0]?.before?.kind);
      expect(before.filter((kind) => kind !== undefined)).toEqual([conflict === 'rollback' ? 'rollback' : 'rename']);
    }
    // the root keeps its key, has the new one already, or the dataset is locked out already
    expect(outcome({ ...one, from: source(old) })).toEqual({ 't/r': 1, 't/r/a': 1, 't/r/b': 1 });
    const lost = joined(local, local, old).map((entry) => (entry.name === 'p/r/b' ? { ...entry, written: 5 } : entry));
    expect(outcome({ from: source(now), onto: lost })).toEqual({ 't/r': 1, 't/r/a': 1, 't/r/b': 1 });
    expect(
      outcome({ ...one, from: source(hex), onto: joined(hex).map((entry) => ({ ...entry, written: 5 })) }),
    ).toEqual({
      't/r': no,
      't/r/a': no,
      't/r/b': no,
    });
  });

  it('fixes an interrupted run: the root has the new key, and not all that inherit it', () => {
    expect(outcome({ from: source(now, ['t/r/b']), onto: joined(now, now, old) })).toEqual({
      't/r': 0,
      't/r/a': 0,
      't/r/b': 1,
    });
    // a dataset that is already locked out does not block a root, and has a note
    const { notes } = planned({ from: source(now, ['t/r']), onto: joined(now, now, old) });
    expect(notes.map(({ kind, dataset: of }) => [kind, of])).toEqual([]);
    const idle = planned({ from: source(now, []), onto: joined(now, now, old) });
    expect(idle.notes.map(({ kind, dataset: of }) => [kind, of])).toEqual([['encryption-root', 't/r/b']]);
  });

  it('is refused if the child has another root at the source than on the target', () => {
    const own = [keyed('t/r', '@1,1', 't/r', old), keyed('t/r/a', '@1,2 @2,12', 't/r/a', now)];
    const onto = joined(old).slice(0, 2);
    expect(outcome({ from: own, onto })).toEqual({ 't/r': 0, 't/r/a': no });
    expect(messageOf({ from: own, onto }, 't/r/a')).not.toEqual(mentions('snapshot -r'));
    const moved = [keyed('t/r', '@1,1 @2,11', 't/r', now), keyed('t/r/a', '@1,2 @2,12', 'u/other', local)];
    const placed = moved.map((one) => ({ ...one, ...(one.name === 't/r/a' && { rootWrapping: local }) }));
    expect(outcome({ from: placed, onto })).toEqual({ 't/r': no, 't/r/a': no });
  });

  it('changes nothing if each is an encryption root on the target, in any case at the source', () => {
    const separate = joined(old).map((one) => ({ ...one, encryptionRoot: one.name }));
    for (const names of [['t/r'], ['t/r/a'], ['t/r', 't/r/b']]) {
      expect(outcome({ from: source(now, names), onto: separate })).not.toContain(no);
      expect(Object.values(outcome({ from: source(now, names), onto: separate }))).not.toContain(no);
    }
  });

  it('returns to its origin from roots of the same key', () => {
    const replica = source(old).map((one) => ({ ...one, encryptionRoot: one.name }));
    expect(outcome({ from: replica, onto: joined(old) })).toEqual({ 't/r': 1, 't/r/a': 1, 't/r/b': 1 });
  });
});

describe('edge case 26: a hex or raw key, which cannot be compared', () => {
  it('is sent if all datasets that share it are in one plan, and else is refused', () => {
    expect(outcome({ from: source(hex), onto: joined(hex) })).toEqual({ 't/r': 1, 't/r/a': 1, 't/r/b': 1 });
    expect(outcome({ from: source(hex, ['t/r/a']), onto: joined(hex) })).toEqual({ 't/r': 0, 't/r/a': no, 't/r/b': 0 });
    expect(refusalOf({ from: source(hex, ['t/r/a']), onto: joined(hex) }, 't/r/a')?.details).toMatchObject({
      wrapping: 'unknown',
    });
    expect(outcome({ from: source(hex, ['t/r', 't/r/a']), onto: joined(hex) })).toMatchObject({
      't/r': no,
      't/r/a': no,
    });
    expect(outcome({ from: source(hex, []), onto: joined(hex) })).toEqual({ 't/r': 0, 't/r/a': 0, 't/r/b': 0 });
  });

  it('continues in the job that has sent the root', () => {
    const one = { from: source(hex, ['t/r/a']), onto: joined(hex), arrived: ['t/r'] };
    expect(outcome(one)).toEqual({ 't/r': 0, 't/r/a': 1, 't/r/b': 0 });
    // the wrapping of a passphrase decides, regardless of arrived steps
    const changed = { from: source(now, ['t/r/a']), onto: joined(old), arrived: ['t/r'] };
    expect(outcome(changed)).toEqual({ 't/r': 0, 't/r/a': no, 't/r/b': 0 });
    const again = { from: source(now, ['t/r']), onto: joined(old), arrived: ['t/r/a', 't/r/b'] };
    expect(outcome(again)).toEqual({ 't/r': no, 't/r/a': 0, 't/r/b': 0 });
  });
});

describe('edge case 26: clones, which share the key of their origin', () => {
  const clone = (name: string, line: string, root: string, wrapping: KeyWrapping, origin: string) =>
    keyed(name, line, root, wrapping, { origin: { name: origin, guid: '2' } });
  const from = [...source(now), clone('t/r/c', '@c,40 @d,41', 't/r', now, 't/r/a@1')];
  const there = [...joined(old), clone('p/r/c', '@c,40', 'p/r', old, 'p/r/a@1')];

  it('change the key of their origin, and count like it', () => {
    expect(outcome({ from, onto: there, ...single('t/r/c') })).toEqual({ 't/r/c': no });
    expect(messageOf({ from, onto: there, ...single('t/r/c') }, 't/r/c')).toEqual(
      mentions('-o keylocation=prompt p/r/a'),
    );
    const rooted = [keyed('t/r', '@1,1', 't/r', now), clone('t/r/c', '@c,40 @d,41', 't/r', now, 't/r@1')];
    const onto = [...joined(old).slice(0, 2), clone('p/r/c', '@c,40', 'p/r', old, 'p/r@1')];
    expect(outcome({ from: rooted, onto, ...single('t/r/c') })).toEqual({ 't/r/c': no });
    expect(outcome({ from: rooted, onto: onto.filter(({ name }) => name !== 'p/r/a'), ...single('t/r/c') })).toEqual({
      't/r/c': 1,
    });
  });

  it('that are new wait for no snapshot of a refused dataset', () => {
    const late = [...source(now, ['t/r/a']), clone('t/r/c', '@c,40', 't/r', now, 't/r/a@2')].map((one) =>
      one.name === 't/r/c' ? { ...one, origin: { name: 't/r/a@2', guid: '12' } } : one,
    );
    const ofClone = clone('t/r/d', '@d,50', 't/r', now, 't/r/c@c');
    const all = [...late, { ...ofClone, origin: { name: 't/r/c@c', guid: '40' } }];
    expect(outcome({ from: all, onto: joined(old) })).toMatchObject({ 't/r/a': no, 't/r/c': no, 't/r/d': no });
  });

  test('the holder of a key is found through any number of clones, and a loop ends', () => {
    const circle = new Map([
      ['x', dataset('x', '', { origin: { name: 'y@1' } })],
      ['y', dataset('y', '', { origin: { name: 'x@1' } })],
    ]);
    expect(['x', 'y']).toContain(keyHolder('x', circle));
    expect(keyHolder('p/r/c', new Map(there.map((one) => [one.name, one])))).toBe('p/r/a');
  });
});

describe('edge case 26: joining', () => {
  const fresh = (onto: DatasetEntry[], from = source(old)) =>
    planned({ from, onto }).notes.filter(({ kind }) => kind === 'encryption-root');

  it('is advised if the root is sent too, or has the same key already', () => {
    for (const onto of [[], joined(old).slice(0, 1)]) {
      const notes = fresh(onto);
      expect(notes.map(({ dataset: of }) => of)).toEqual(['t/r/a', 't/r/b']);
      expect(notes[0]?.message).toEqual(mentions('zfs load-key p/r; zfs load-key p/r/a; zfs change-key -i p/r/a'));
    }
  });

  it('is not advised below a root of another key, or of an unknown one', () => {
    const locals = [keyed('p/r', '@1,1 @2,11', 'p/r', local)];
    expect(fresh(locals).map(({ message }) => /change-key/.test(message))).toEqual([false, false]);
    const unknown = [keyed('p/r', '@1,1 @2,11', 'p/r', hex)];
    expect(fresh(unknown, source(hex)).map(({ message }) => /change-key/.test(message))).toEqual([false, false]);
  });
});

it('edge case 26: a dataset that is already locked out at the source is not sent', () => {
  const from = [keyed('t/r', '@1,1', 't/r', now), keyed('t/r/a', '@1,2', 't/r', old)];
  expect(outcome({ from, onto: [] })).toEqual({ 't/r': 1, 't/r/a': no });
});

test('wrappings are equal only if a salt shows it', () => {
  expect(compareWrappings(old, { ...old })).toBe('same');
  expect(compareWrappings(old, now)).toBe('different');
  expect(compareWrappings(old, { ...old, iterations: 100_000 })).toBe('different');
  expect(compareWrappings(old, hex)).toBe('different');
  for (const [one, other] of [
    [hex, hex],
    [undefined, old],
    [old, undefined],
    [{ format: 'passphrase' }, { format: 'passphrase' }],
  ] as const) {
    expect(compareWrappings(one, other)).toBe('unknown');
  }
});

describe('the part of the target to list', () => {
  const needed = (from: DatasetEntry[], onto: DatasetEntry[], name = 't/r') => {
    const one = { from, onto, ...single(name) };
    return unseenInheritors(planned(one).datasets, {
      source: inventory('src', ...from),
      target: inventory('dst', ...onto),
    });
  };
  it('is its pool if a root changes its key, the tree if that is unknown, and else no more', () => {
    const root = (wrapping: KeyWrapping) => joined(wrapping).slice(0, 1);
    expect(needed(source(old), root(old))).toBeUndefined();
    expect(needed(source(now), root(old))).toBe('pool');
    expect(needed(source(hex), root(hex))).toBe('tree');
    const a = [{ ...(joined(old)[1] as DatasetEntry), rootWrapping: old }];
    expect(needed(source(old), a, 't/r/a')).toBeUndefined();
  });
});

test('a renaming takes the encryption root along', () => {
  const listing = inventory('dst', ...joined(old));
  const { datasets } = afterResolution(listing, { kind: 'rename', from: 'p/r', to: 'p/x', guid: '1' });
  expect(datasets.map(({ encryptionRoot }) => encryptionRoot)).toEqual(['p/x', 'p/x', 'p/x']);
});

test('stored streams are assumed to change the key of their target, and of a clone’s origin', () => {
  const order = { transfer: 'transfer1', job: 'jobjobjob1', sourceHost: 'src' };
  const { datasets } = planned({ from: source(now), onto: joined(old) });
  const starts = datasets.flatMap(({ steps }) => steps.map((step) => startOf(order, step)));
  const clone = keyed('p/r/c', '@c,40', 'p/r', old, { origin: { name: 'p/r/a@1', guid: '2' } });
  const later = predictInventory(inventory('dst', ...joined(old), clone), starts);
  expect(later.datasets.map(({ wrapping }) => wrapping)).toEqual([now, now, now, now]);
  const fresh = predictInventory(
    inventory('dst', dataset('p', '')),
    planned({ from: source(old), onto: [] }).datasets.flatMap(({ steps }) => steps.map((step) => startOf(order, step))),
  );
  expect(fresh.datasets.map(({ name, encryptionRoot, wrapping }) => [name, encryptionRoot, wrapping])).toEqual([
    ['p', undefined, undefined],
    ...['p/r', 'p/r/a', 'p/r/b'].map((name) => [name, name, old]),
  ]);
});

test('a root outside a listing is looked up once, and noted at the datasets that inherit its key', () => {
  const [, a, b] = joined(old);
  const listed = [a as DatasetEntry, b as DatasetEntry, dataset('p/plain', '')];
  expect(rootsOutside(listed)).toEqual(['p/r']);
  joinRoots(listed, [{ name: 'p/r', wrapping: now }]);
  expect(listed.map(({ rootWrapping }) => rootWrapping)).toEqual([now, now, undefined]);
});

describe('edge case 26: streams stored for a known target', () => {
  const separate = joined(old).map((one) => ({ ...one, encryptionRoot: one.name }));
  /** By dataset: the number of steps, or why nothing is stored. */
  const stored = (from: DatasetEntry[], onto: DatasetEntry[], unsure: string[] = []) => {
    const sides = { source: inventory('src', ...from), target: inventory('dst', dataset('p', ''), ...onto) };
    const { datasets } = planned({ from, onto });
    const unsettled = {
      unsure: new Set(unsure),
      unseenKeys: new Set<string>(),
      newKeys: changingRoots(datasets, sides),
    };
    return storable(datasets, sides.target, unsettled).map(({ sourceDataset: name, steps, refusal }) => [
      name,
      refusal ? `${refusal.error.code} ${refusal.error.message}` : steps.length,
    ]);
  };

  it('change no root’s key, in a package either: later joined datasets are unknown', () => {
    expect(stored(source(now, ['t/r']), separate)).toEqual([
      ['t/r', mentions('UNSUPPORTED', 't/r', 'p/r', 'dst', '--channel auto')],
      ['t/r/a', 0],
      ['t/r/b', 0],
    ]);
    expect(stored(source(old), separate)).toEqual([
      ['t/r', 1],
      ['t/r/a', 1],
      ['t/r/b', 1],
    ]);
  });

  it('exclude datasets that wait for the key of an excluded root', () => {
    expect(stored(source(now), joined(old)).map(([, why]) => why)).toEqual([
      mentions('UNSUPPORTED', 't/r', 'p/r'),
      mentions('UNSUPPORTED', 't/r/a', 't/r'),
      mentions('UNSUPPORTED', 't/r/b', 't/r'),
    ]);
  });

  it('are planned if no key has changed, and refused if the key is unknown', () => {
    const hexes = joined(hex).map((one) => ({ ...one, encryptionRoot: one.name }));
    expect(stored(source(hex), hexes).map(([, steps]) => steps)).toEqual([1, 1, 1]);
    expect(stored(source(old), separate, ['p/r/a']).map(([, why]) => why)).toEqual([
      1,
      mentions('UNSUPPORTED', 'p/r/a', 'dst'),
      1,
    ]);
  });
});
