import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  afterResolutions,
  emptyInventory,
  lastKnownOf,
  predictInventory,
} from '../../../../lib/plan/predict-target.ts';
import type { Step } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { type StoredStart, storedStartSchema } from '../../../../schemas/stored.ts';
import { startOf } from '../../../../services/sender/transfer/receive-request.ts';
import { plan } from '../../../support/planning.ts';
import { PoolModel } from '../../../support/pool-model.ts';

const order = { transfer: 'transfer1', job: 'jobjobjob1', sourceHost: 'src' };
const stored = (step: Step): StoredStart => startOf(order, step);
const request: SendRequest = { dataset: 'pool/a', to: { host: 'dst', dataset: 'pool/b' }, package: 'replication' };

const commands = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('snapshot -r pool/a@', 'snapshot pool/a@', 'snapshot pool/a/x@') },
    { weight: 1, arbitrary: fc.constantFrom('create pool/a/x', 'create pool/a/y', 'create -V 1M pool/a/v') },
    { weight: 1, arbitrary: fc.constantFrom('clone pool/a@1 pool/a/c', 'destroy pool/a@2', 'promote pool/a/c') },
  ),
  { maxLength: 12 },
);

/** Names of snapshots are numbers, in the order in which they were made. */
function run(model: PoolModel, lines: readonly string[], from = 0): number {
  let next = from;
  for (const line of lines) model.do(line.endsWith('@') ? `${line}${++next}` : line);
  return next;
}

const stepsOf = (source: PoolModel, target: ReturnType<PoolModel['inventory']>): Step[] => {
  const result = plan(request, source.inventory(), target);
  if (result.ok) return result.steps;
  // trees that cannot be sent there are; listings that no plan can be made from there must not be
  expect(result.error.code).not.toBe('BAD_REQUEST');
  return [];
};

const newestOf = (inventory: ReturnType<PoolModel['inventory']>): Map<string, string | undefined> =>
  new Map(inventory.datasets.map(({ name, snapshots }) => [name, snapshots.at(-1)?.guid]));

describe('the predicted inventory', () => {
  test('has no partial state of a dataset that a step has completed', () => {
    const guids = { next: 1000 };
    const source = new PoolModel('src', 'pool', guids).run('create pool/a', 'snapshot pool/a@1');
    const target = new PoolModel('dst', 'pool', guids);
    const steps = stepsOf(source, target.inventory());
    const partial = ['pool/b', 'pool/c'].flatMap((name) =>
      emptyInventory('dst', name).datasets.map((entry) => ({ ...entry, name, resumeToken: '1-abc-0' })),
    );
    expect(
      predictInventory({ host: 'dst', datasets: partial }, steps.map(stored)).datasets.map(({ name, resumeToken }) => [
        name,
        resumeToken,
      ]),
    ).toEqual([
      ['pool/b', undefined],
      ['pool/c', '1-abc-0'],
    ]);
  });

  test('is the inventory after all stored streams are received', () => {
    let moved = 0;
    fc.assert(
      fc.property(commands, commands, fc.boolean(), (before, after, wasSeen) => {
        const guids = { next: 1000 };
        const source = new PoolModel('src', 'pool', guids).run('create pool/a');
        const target = new PoolModel('dst', 'pool', guids);
        const count = run(source, ['snapshot pool/a@', ...before]);
        if (wasSeen) {
          for (const step of stepsOf(source, target.inventory())) target.receive(step, source, new Set(step.parents));
        }
        const known = wasSeen ? lastKnownOf(target.inventory(), source.inventory()) : emptyInventory('dst', 'pool/b');
        run(source, after, count);
        const steps = stepsOf(source, known);
        const then = predictInventory(known, steps.map(stored));
        for (const step of steps) target.receive(step, source, new Set(step.parents));
        const real = newestOf(target.inventory());
        for (const [name, guid] of newestOf(then)) if (guid !== undefined) expect(real.get(name)).toBe(guid);
        // with that, nothing is left to do
        expect(stepsOf(source, then)).toEqual([]);
        moved += steps.length;
      }),
    );
    expect(moved).toBeGreaterThan(50);
  });

  test('ignores streams whose base is missing', () => {
    const known = emptyInventory('dst', 'pool/b');
    const start = (more: object): StoredStart =>
      storedStartSchema.parse({ ...order, targetDataset: 'pool/b', to: { name: 'pool/a@2', guid: '2' }, ...more });
    const names = (starts: StoredStart[]) => predictInventory(known, starts).datasets.map(({ name }) => name);
    expect(names([start({ from: { guid: '1' } })])).toEqual(['pool']);
    expect(names([start({})])).toEqual(['pool', 'pool/b']);
    const twice = predictInventory(known, [start({}), start({}), start({ to: { name: 'pool/a@3', guid: '3' } })]);
    expect(twice.datasets[1]?.snapshots.map(({ guid }) => guid)).toEqual(['2']);
  });

  test('is encrypted if received raw, and has placeholders', () => {
    const start = storedStartSchema.parse({
      ...order,
      targetDataset: 'pool/x/b',
      to: { name: 'pool/a@1', guid: '1' },
      parents: ['pool/x'],
      raw: true,
      record: '7:raw',
    });
    const { datasets } = predictInventory(emptyInventory('dst', 'pool/x/b'), [start]);
    expect(datasets.map(({ name, encryption, stream }) => [name, encryption, stream])).toEqual([
      ['pool', 'off', undefined],
      ['pool/x', 'off', undefined],
      ['pool/x/b', 'on', '7:raw'],
    ]);
  });
});

test('conflict resolutions remove destroyed snapshots and renamed datasets', () => {
  const target = new PoolModel('dst', 'pool').run(
    'create pool/b',
    'snapshot pool/b@1',
    'snapshot pool/b@2',
    'create pool/c',
  );
  const seen = target.inventory();
  const guid = target.find('pool/b@2')?.guid ?? '';
  const back = {
    kind: 'rollback' as const,
    guid: '1',
    to: { name: 'pool/b@1', guid: '1' },
    destroys: [{ name: '2', guid }],
  };
  const rotation = { kind: 'rename' as const, from: 'pool/c', to: 'pool/c_diverged_1', guid: '2' };
  const { datasets } = afterResolutions(seen, [
    { targetDataset: 'pool/b', before: back },
    { targetDataset: 'pool/c', before: rotation },
  ]);
  expect(datasets.map(({ name, snapshots }) => [name, snapshots.map((one) => one.name)])).toEqual([
    ['pool', []],
    ['pool/b', ['1']],
  ]);
});

test('a known target keeps what plans need: the newest common snapshot and later ones, and origins of clones', () => {
  const guids = { next: 1000 };
  const source = new PoolModel('src', 'pool', guids).run('create pool/a', 'snapshot pool/a@1');
  const target = new PoolModel('dst', 'pool', guids);
  source.run('clone pool/a@1 pool/c', 'snapshot pool/a@2', 'snapshot pool/a@3');
  for (const step of stepsOf(source, target.inventory())) target.receive(step, source);
  target.run('snapshot pool/b@own');
  const { datasets } = lastKnownOf(target.inventory(), source.inventory());
  expect(datasets.find(({ name }) => name === 'pool/b')?.snapshots.map(({ name }) => name)).toEqual(['1', '3', 'own']);
});
