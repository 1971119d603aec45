import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWithin } from '../../../../schemas/names.ts';
import type { Plan } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { anyMove, type Move, play } from '../../../support/histories.ts';
import { plan } from '../../../support/planning.ts';
import { PoolModel } from '../../../support/pool-model.ts';

/** The parts of a case: histories and requests. `tank/r` is the package, `tank/o` is outside it. */
interface Case {
  before: Move[];
  first: Run;
  between: Move[];
  second: Run;
  after: Move[];
  /** Changes on the target. */
  there: Move[];
  request: Wish;
}
interface Wish {
  /** Whether a recursive snapshot is made just before. */
  fresh: boolean;
  package: 'replication' | 'recursive';
  selfContained: boolean;
  skipMissing: boolean;
  /** Whether a snapshot is named: the newest of the root, or an older one. */
  named: 'newest' | 'older' | 'none';
  exclude: string[];
  snapshots: string[];
}
interface Run {
  request: Wish;
  /** Of the steps this many are carried out before it is interrupted. */
  steps: number;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  fresh: fc.constantFrom(true, true, true, false),
  package: fc.constantFrom('replication', 'replication', 'recursive'),
  selfContained: fc.boolean(),
  skipMissing: fc.constantFrom(true, true, true, false),
  named: fc.constantFrom('newest', 'newest', 'none', 'older'),
  exclude: fc.oneof(
    { weight: 4, arbitrary: fc.constant<string[]>([]) },
    fc.subarray(['a', '*/b', '**/c', 'tank/r/d/**']),
  ),
  snapshots: fc.oneof(
    { weight: 3, arbitrary: fc.constant<string[]>([]) },
    fc.constantFrom<string[]>(['a*'], ['b?', 'c*']),
  ),
});
const run: fc.Arbitrary<Run> = fc.record({
  request: wish,
  steps: fc.oneof(fc.nat(12), fc.constant(Number.POSITIVE_INFINITY)),
});
const moves = (maxLength: number, only?: readonly Move['op'][]) => fc.array(anyMove(only), { maxLength });
const anyCase: fc.Arbitrary<Case> = fc.record({
  before: moves(25),
  first: run,
  between: moves(10),
  second: run,
  after: moves(8),
  there: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Move[]>([]) },
    moves(3, ['snapshot', 'destroy snapshot', 'rename snapshot', 'destroy']),
  ),
  request: wish,
});

const root = 'tank/r';
const home = 'dozer/backup/r';
const onSource = (name: string) => isWithin(name, root) || isWithin(name, 'tank/o');
const onTarget = (name: string) => isWithin(name, home);

function requestFor(source: PoolModel, asked: Wish): SendRequest {
  const names = source.datasets.get(root)?.snapshots.map(({ name }) => name) ?? [];
  const leaf =
    asked.named === 'none' ? undefined : names.at(asked.named === 'newest' ? -1 : Math.floor(-names.length / 2));
  const { package: kind, selfContained, skipMissing, exclude } = asked;
  const isNamed = leaf !== undefined;
  return {
    dataset: isNamed ? `${root}@${leaf}` : root,
    to: { host: 'dst', dataset: home },
    package: isNamed ? kind : 'replication',
    selfContained,
    ...(isNamed && { skipMissing }),
    exclude,
    ...((!isNamed || kind === 'replication') && { snapshots: asked.snapshots }),
  };
}

const planned = (source: PoolModel, target: PoolModel, request: SendRequest): Plan =>
  plan(request, source.inventory(), target.inventory());

/** @param moved a promotion or a rename has left snapshots in other places, where a new dataset may not find them */
function carryOut(
  source: PoolModel,
  target: PoolModel,
  result: Plan,
  steps = Number.POSITIVE_INFINITY,
  moved = false,
): void {
  if (!result.ok) return;
  const placeholders = new Set(
    result.notes?.filter(({ kind }) => kind === 'placeholder').map(({ dataset }) => dataset),
  );
  const had = new Set(target.datasets.keys());
  for (const step of result.steps.slice(0, steps)) {
    // a dataset that exists needs each in its own chain, wherever else it may be
    const own = target.datasets.get(step.targetDataset)?.snapshots.some(({ guid }) => guid === step.to.guid);
    const twice = own || (!moved && !had.has(step.targetDataset) && target.guidsWithin(home).has(step.to.guid));
    if (twice) throw new Error(`sent twice: ${JSON.stringify(step)}`);
    target.receive(step, source, placeholders);
  }
}

function refresh(source: PoolModel, { fresh }: Wish, told: string[]): void {
  const command = `snapshot -r ${root}@n${told.length}`;
  if (fresh && source.do(command)) told.push(command);
}

/** Both sides as the histories leave them. */
function worldOf(one: Case): { source: PoolModel; target: PoolModel; request: SendRequest; told: string[] } {
  const source = new PoolModel('src', 'tank').run('create tank/r', 'create tank/o', 'snapshot -r tank@begin');
  const target = new PoolModel('dst', 'dozer', { next: 500_000 });
  const told: string[] = [];
  for (const [history, { request, steps }] of [
    [one.before, one.first],
    [one.between, one.second],
  ] as const) {
    told.push(...play(source, history, onSource));
    refresh(source, request, told);
    const asked = requestFor(source, request);
    carryOut(source, target, planned(source, target, asked), steps, isMoved(told));
    told.push(`replicate ${JSON.stringify(asked)} ${steps}`);
  }
  told.push(...play(source, one.after, onSource));
  told.push(...play(target, one.there, onTarget).map((command) => `on the target: ${command}`));
  refresh(source, one.request, told);
  const request = requestFor(source, one.request);
  told.push(JSON.stringify(request));
  return { source, target, request, told };
}

const isMoved = (told: readonly string[]): boolean => told.some((command) => /^(promote|rename) /.test(command));

const picture = (model: PoolModel) =>
  new Map([...model.datasets].map(([name, { snapshots }]) => [name, snapshots.map(({ guid }) => guid)]));

/** The snapshots that each dataset of the target must have at the end, as `name guid`, found the slow way. */
function wantedOn(source: PoolModel, target: PoolModel, request: SendRequest, left: ReadonlySet<string>): string[] {
  const leaf = request.dataset.split('@')[1];
  return [...source.datasets].flatMap(([name, { snapshots, bookmarks }]) => {
    if (!isWithin(name, root) || [...left].some((one) => isWithin(name, one))) return [];
    const goal = leaf === undefined ? undefined : snapshots.find((snap) => snap.name === leaf);
    if (leaf !== undefined && goal === undefined) throw new Error(`${name} lacks @${leaf} and is not left out`);
    const last = goal ?? (request.snapshots?.length ? undefined : snapshots.at(-1));
    if (last === undefined) return [];
    const counterpart = `${home}${name.slice(root.length)}`;
    const held = new Set(target.datasets.get(counterpart)?.snapshots.map(({ guid }) => guid));
    // an unnamed snapshot may be older than the newest common one, and cannot be received any more
    const isPassed =
      goal === undefined &&
      [...snapshots, ...bookmarks].some(({ guid, createtxg }) => createtxg >= last.createtxg && held.has(guid));
    return isPassed ? [] : [`${counterpart} ${last.guid}`];
  });
}

const refusedBy = (result: Plan) => result.ok && result.refused?.map(({ dataset }) => dataset).toSorted();

const runs = { numRuns: 5000 };

describe('after arbitrary changes on both sides, a package', () => {
  it('can be performed step by step, sends nothing twice, destroys nothing, is complete, and then is empty', () => {
    const seen = {
      steps: 0,
      none: 0,
      refused: 0,
      partly: 0,
      clones: 0,
      bookmarks: 0,
      renamed: 0,
      skipped: 0,
      placeholders: 0,
    };
    fc.assert(
      fc.property(anyCase, (one) => {
        const { source, target, request, told } = worldOf(one);
        const result = planned(source, target, request);
        if (!result.ok) {
          seen.refused++;
          return;
        }
        seen[result.steps.length > 0 ? 'steps' : 'none']++;
        seen.partly += result.refused ? 1 : 0;
        seen.clones += result.steps.some((step) => step.origin) ? 1 : 0;
        seen.bookmarks += result.steps.some((step) => step.from?.kind === 'bookmark') ? 1 : 0;
        seen.renamed += result.refused?.some(({ error }) => error.details?.previousName) ? 1 : 0;
        for (const { kind } of result.notes ?? []) {
          if (kind === 'skipped') seen.skipped++;
          if (kind === 'placeholder') seen.placeholders++;
        }
        const had = picture(target);
        try {
          carryOut(source, target, result, undefined, isMoved(told));
          const has = picture(target);
          for (const [name, guids] of had) expect(has.get(name)?.slice(0, guids.length), name).toEqual(guids);
          const left = new Set([
            ...(result.refused?.map(({ dataset }) => dataset) ?? []),
            ...(result.notes
              ?.filter(({ kind, message }) => kind === 'skipped' && !/itself/.test(message))
              .map(({ dataset }) => dataset) ?? []),
          ]);
          const held = [...has].flatMap(([name, guids]) => guids.map((guid) => `${name} ${guid}`));
          expect(held).toEqual(expect.arrayContaining(wantedOn(source, target, request, left)));
          const again = planned(source, target, request);
          expect(again).toMatchObject({ ok: true, steps: [] });
          // in any order: an arrived origin is not a need any more
          expect(refusedBy(again)).toEqual(refusedBy(result));
        } catch (error) {
          throw new Error(`${told.join('\n')}\n${JSON.stringify(result, null, 1)}`, { cause: error });
        }
      }),
      runs,
    );
    for (const [kind, times] of Object.entries(seen)) expect(times, kind).toBeGreaterThan(2);
  });

  it('continues after any step at which it was interrupted: both runs together have its steps', () => {
    fc.assert(
      fc.property(anyCase, fc.nat(30), (one, stop) => {
        const { source, target, request, told } = worldOf(one);
        const whole = planned(source, target, request);
        if (!whole.ok) return;
        const steps = whole.steps.slice(0, stop);
        carryOut(source, target, whole, stop, isMoved(told));
        const rest = planned(source, target, request);
        expect(rest.ok && rest.steps.length + steps.length, told.join('\n')).toBe(whole.steps.length);
      }),
      { numRuns: 1000 },
    );
  });

  it('is never refused by an empty target if it is self-contained', () => {
    fc.assert(
      fc.property(moves(40), wish, (history, asked) => {
        const source = new PoolModel('src', 'tank').run('create tank/r', 'create tank/o', 'snapshot -r tank@begin');
        play(source, history, onSource);
        if (!source.datasets.get(root)?.snapshots.length) return;
        const request = requestFor(source, { ...asked, selfContained: true, skipMissing: true, snapshots: [] });
        const target = new PoolModel('dst', 'dozer', { next: 500_000 });
        const result = planned(source, target, request);
        expect(result.ok || result.error).toBe(true);
        expect(result.ok && result.refused).toBeUndefined();
        carryOut(source, target, result, undefined, true);
      }),
      { numRuns: 1000 },
    );
  });

  it('depends only on the listings, not on their order, and changes nothing in them (I12)', () => {
    fc.assert(
      fc.property(anyCase, fc.infiniteStream(fc.nat(1000)), (one, keys) => {
        const { source, target, request } = worldOf(one);
        const [from, to] = [deepFreeze(source.inventory()), deepFreeze(target.inventory())];
        const shuffled = <T>(list: readonly T[]): T[] =>
          list
            .map((entry) => ({ entry, key: keys.next().value ?? 0 }))
            .toSorted((a, b) => a.key - b.key)
            .map(({ entry }) => entry);
        const mixed = ({ host, datasets }: typeof from) => ({
          host,
          datasets: shuffled(datasets).map((entry) => ({
            ...entry,
            snapshots: shuffled(entry.snapshots),
            bookmarks: shuffled(entry.bookmarks),
          })),
        });
        expect(plan(request, mixed(from), mixed(to))).toEqual(plan(request, from, to));
      }),
      { numRuns: 500 },
    );
  });
});

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}
