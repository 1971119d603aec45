import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRefusal } from '../../../../lib/plan/refusal.ts';
import { configSchema } from '../../../../schemas/config.ts';
import type { DatasetEntry } from '../../../../schemas/inventory.ts';
import { showing, shownTo } from '../../../../services/host/shown.ts';
import { planDatasets } from '../../../support/planning.ts';
import { dataset, inventory, request } from '../../lib/plan/plan-history.ts';

/** The replicas are below p/r, where the source may write; the others belong to other hosts. */
const names = ['p/r', 'p/r/a', 'p/x', 'p/x/k', 'p/y', 'p/y/k', 'p/z'] as const;
const bases: Readonly<Record<string, string>> = { 'p/r': '@1,1', 'p/r/a': '@1,2' };
const salted = (salt: number) => ({ format: 'passphrase' as const, salt: String(10 + salt), iterations: 350_000 });

interface Layout {
  readonly order: readonly number[];
  /** Of each dataset: its own key, that of its parent, or that of the dataset it is a clone of. */
  readonly ways: readonly ('own' | 'parent' | number)[];
  readonly salt: number;
}

const layouts: fc.Arbitrary<Layout> = fc.record({
  order: fc.shuffledSubarray([...names.keys()], { minLength: names.length }),
  ways: fc.array(fc.oneof(fc.constantFrom('own' as const, 'parent' as const), fc.nat(names.length - 1)), {
    minLength: names.length,
    maxLength: names.length,
  }),
  salt: fc.nat(1),
});

/** The target's datasets, made in that order: a dataset whose parent or origin does not exist yet has its own key. */
function targetOf({ order, ways, salt }: Layout): DatasetEntry[] {
  const made = new Map<string, DatasetEntry>();
  for (const at of order) {
    const [name = '', way = 'own'] = [names[at], ways[at]];
    const parent = made.get(name.slice(0, name.lastIndexOf('/')));
    const origin = typeof way === 'number' ? made.get(names[way] ?? '') : undefined;
    const holder = origin ?? (way === 'parent' ? parent : undefined);
    made.set(
      name,
      dataset(name, bases[name] ?? `@o,${70 + at}`, {
        ...{ encryption: 'aes-256-gcm', keystatus: 'available' },
        encryptionRoot: holder?.encryptionRoot ?? name,
        wrapping: holder?.wrapping ?? salted(salt),
        ...(origin && { origin: { name: `${origin.name}@o`, guid: '999' } }),
      }),
    );
  }
  return names.flatMap((name) => made.get(name) ?? []);
}

test('a plan from the shown datasets keeps all keys that a plan from the whole pool keeps', () => {
  const rules = configSchema.parse({ receive: { allow: [{ from: 'src', into: 'p/r' }] }, send: { allow: [] } });
  const shown = shownTo('src', rules, []);
  const encrypted = { encryption: 'aes-256-gcm', keystatus: 'available' } as const;
  const sources = (salt: number, isOwn: boolean) => [
    dataset('t/r', '@1,1 @2,12', { ...encrypted, encryptionRoot: 't/r', wrapping: salted(salt) }),
    dataset('t/r/a', '@1,2 @2,13', {
      ...{ ...encrypted, encryptionRoot: isOwn ? 't/r/a' : 't/r', wrapping: salted(isOwn ? 5 : salt) },
    }),
  ];
  let refused = 0;
  const property = fc.property(layouts, fc.nat(2), fc.boolean(), fc.boolean(), (layout, salt, isOwn, isWhole) => {
    const to = { host: 'dst', dataset: 'p/r' };
    const asked = request('t/r', { to, ...(isWhole && { package: 'replication' as const }) });
    const outcome = (target: DatasetEntry[]) => {
      const plans = planDatasets(asked, inventory('src', ...sources(salt, isOwn)), inventory('dst', ...target));
      if (isRefusal(plans)) return plans.error.code;
      return plans.datasets.map(({ sourceDataset: name, refusal, steps }) => [
        name,
        refusal?.error.code ?? steps.length,
      ]);
    };
    const pool = [dataset('p', ''), ...targetOf(layout)];
    const whole = outcome(pool);
    if (JSON.stringify(whole).includes('KEY_MISMATCH')) refused += 1;
    expect(outcome(showing(pool, shown))).toEqual(whole);
  });
  fc.assert(property, { numRuns: 2000 });
  expect(refused, 'plans that keys hinder').toBeGreaterThan(50);
});
