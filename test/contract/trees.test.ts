import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createZfs } from '../../lib/zfs/zfs.ts';
import type { DatasetEntry, Inventory } from '../../schemas/inventory.ts';
import { isWithin, leafOf } from '../../schemas/names.ts';
import type { Step } from '../../schemas/plan.ts';
import type { SendRequest } from '../../schemas/request.ts';
import { anyMove, commandOf, type Move } from '../support/histories.ts';
import { plan } from '../support/planning.ts';
import { PoolModel } from '../support/pool-model.ts';
import { isReal, lab, MIB } from './zfs-under-test.ts';

/** Always the same ones, so that a failure can be run again: `-t 'tree 7'`. */
const seed = 20_261_124;
// an emulated machine takes a quarter of a minute for each
const trees = isReal ? 12 : 24;

const z = lab(1024 * MIB);
const zfs = createZfs({ host: 'here', env: z.env });

interface History {
  before: Move[];
  /** How much of a first plan is carried out. */
  steps: number;
  after: Move[];
  package: 'replication' | 'recursive';
  selfContained: boolean;
}

const histories = fc.sample(
  fc.record<History>({
    before: fc.array(anyMove(), { minLength: 12, maxLength: 18 }),
    steps: fc.nat(6),
    after: fc.array(anyMove(), { minLength: 2, maxLength: 8 }),
    package: fc.constantFrom('replication', 'replication', 'recursive'),
    selfContained: fc.boolean(),
  }),
  { seed, numRuns: trees },
);

/** Carries a command out on the model and, where ZFS would do it, on ZFS. */
function play(model: PoolModel, moves: readonly Move[], places: (name: string) => boolean): void {
  for (const move of moves) {
    const command = commandOf(model, move, places);
    if (command === undefined) continue;
    const [verb, name = ''] = command.split(' ').filter((word) => word !== '-r');
    // so that snapshots differ
    if (verb === 'snapshot' && model.datasets.get(name.split('@')[0] ?? '')?.type === 'filesystem') {
      z.write(name.split('@')[0] ?? '', 2000);
    }
    if (model.do(command)) z.ok(...command.split(' '));
  }
}

async function listed(host: string, root: string): Promise<Inventory> {
  return { host, datasets: await zfs.list({ dataset: root, recursive: true }) };
}

/** One step as the services do it, without them. */
function carryOut({ to, from, targetDataset, origin }: Step): void {
  const stream = z.stream(...(from ? ['-i', from.name] : []), to.name);
  const clone = origin === undefined ? [] : ['-o', `origin=${origin}`];
  const { exit, stderr } = z.feed(stream, 'receive', '-s', '-u', ...clone, `${targetDataset}@${leafOf(to.name)}`);
  if (exit !== 0) throw new Error(`${JSON.stringify({ to, from, target: targetDataset, origin })}: ${stderr}`);
}

/** The counts over all trees. */
const seen = { steps: 0, clones: 0, bookmarks: 0, partly: 0, again: 0 };

/** A second attempt needs other names. */
let tries = 0;

const newest = ({ name, snapshots }: DatasetEntry): string => `${name}@${snapshots.at(-1)?.name}`;

describe('generated trees', () => {
  it.each(histories.map((history, at) => [at, history] as const))('tree %i arrives unchanged', async (at, history) => {
    const mark = `t${at}x${tries++}`;
    const [here, there] = [`${z.source}/${mark}`, `${z.target}/${mark}`];
    const root = `${here}/r`;
    const places = (name: string) => isWithin(name, root) || isWithin(name, `${here}/o`);
    const model = new PoolModel('src', here);
    for (const dataset of [here, there]) z.ok('create', dataset);
    for (const command of [`create ${root}`, `create ${here}/o`, `snapshot -r ${here}@begin`]) {
      model.run(command);
      z.ok(...command.split(' '));
    }
    const planned = async () => {
      const [source, target] = [await listed('src', here), await listed('dst', there)];
      const leaf = source.datasets.find(({ name }) => name === root)?.snapshots.at(-1)?.name;
      const request: SendRequest = {
        dataset: leaf === undefined ? root : `${root}@${leaf}`,
        to: { host: 'dst', dataset: `${there}/backup` },
        package: leaf === undefined ? 'replication' : history.package,
        selfContained: history.selfContained,
        ...(leaf !== undefined && { skipMissing: true }),
      };
      return { result: plan(request, source, target), source };
    };
    const performed: Step[] = [];
    const perform = (steps: readonly Step[], parents: readonly string[]) => {
      for (const parent of parents) if (z.zfs('list', parent).exit !== 0) z.ok('create', '-o', 'canmount=off', parent);
      for (const step of steps) carryOut(step);
      performed.push(...steps);
    };
    const parentsOf = (result: Awaited<ReturnType<typeof planned>>['result']) =>
      result.ok ? (result.notes ?? []).filter(({ kind }) => kind === 'placeholder').map(({ dataset }) => dataset) : [];

    // without a snapshot that all have, most of a package is left out
    const fresh = (leaf: string) => {
      if (model.do(`snapshot -r ${root}@${leaf}`)) z.ok('snapshot', '-r', `${root}@${leaf}`);
    };
    play(model, history.before, places);
    fresh('one');
    const first = await planned();
    if (first.result.ok) perform(first.result.steps.slice(0, history.steps), parentsOf(first.result));
    play(model, history.after, places);
    fresh('two');
    const { result, source } = await planned();
    if (!result.ok) {
      expect(result.error.code).toMatch(/^(ORIGIN_MISSING|NO_SUCH_SNAPSHOT|EXISTS|DIVERGED)$/);
      return;
    }
    seen.again += performed.length > 0 && result.steps.length > 0 ? 1 : 0;
    seen.partly += result.refused ? 1 : 0;
    perform(result.steps, parentsOf(result));
    seen.steps += performed.length;
    seen.clones += performed.filter(({ origin }) => origin !== undefined).length;
    seen.bookmarks += performed.filter(({ from }) => from?.kind === 'bookmark').length;

    const arrived = await listed('dst', there);
    const onTarget = new Map(arrived.datasets.map((dataset) => [dataset.name, dataset]));
    for (const { to, targetDataset } of result.steps) {
      expect(onTarget.get(targetDataset)?.snapshots.find(({ name }) => name === leafOf(to.name))?.guid, to.name).toBe(
        to.guid,
      );
    }
    for (const { targetDataset, origin } of performed) {
      if (origin !== undefined) expect(onTarget.get(targetDataset)?.origin?.name, targetDataset).toBe(origin);
    }
    const byGuid = new Map(
      source.datasets.flatMap(({ name, snapshots }) => snapshots.map((one) => [one.guid, `${name}@${one.name}`])),
    );
    for (const dataset of arrived.datasets) {
      const twin = byGuid.get(dataset.snapshots.at(-1)?.guid ?? '');
      if (twin && (dataset.type === 'filesystem' || !isReal))
        expect(z.digest(newest(dataset)), twin).toBe(z.digest(twin));
    }
    const again = await planned();
    expect(again.result).toMatchObject({ ok: true, steps: [] });
  });

  it('the trees had enough steps, clones and unfinished targets to prove something', () => {
    expect(seen.steps).toBeGreaterThan(3 * trees);
    expect(seen.clones).toBeGreaterThan(trees / 4);
    expect(seen.again).toBeGreaterThan(trees / 3);
    expect(seen.partly).toBeGreaterThan(0);
  });
});
