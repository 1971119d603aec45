import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWithin } from '../../../../schemas/names.ts';
import type { Plan } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { anyMove, type Move, play } from '../../../support/histories.ts';
import { plan } from '../../../support/planning.ts';
import { PoolModel } from '../../../support/pool-model.ts';

/** `tank/r` is sent to `dozer/b/r`; then both sides change independently. */
interface Case {
  before: Move[];
  after: Move[];
  there: Move[];
  packaged: boolean;
  selfContained: boolean;
}

const root = 'tank/r';
const home = 'dozer/b/r';
const moves = (maxLength: number, only?: readonly Move['op'][]) => fc.array(anyMove(only), { maxLength });
const anyCase: fc.Arbitrary<Case> = fc.record({
  before: moves(15),
  after: fc.oneof(
    { weight: 2, arbitrary: moves(8) },
    { weight: 1, arbitrary: moves(5, ['rename', 'create', 'snapshot -r']) },
  ),
  there: moves(8, [
    'snapshot',
    'snapshot -r',
    'destroy snapshot',
    'rename snapshot',
    'clone',
    'bookmark',
    'create',
    'write',
  ]),
  packaged: fc.constantFrom(true, true, false),
  selfContained: fc.constantFrom(false, false, true),
});

function carryOut(source: PoolModel, target: PoolModel, result: Plan): void {
  if (!result.ok) return;
  const made = new Set(result.notes?.filter(({ kind }) => kind === 'placeholder').map(({ dataset }) => dataset));
  for (const step of result.steps) {
    if (step.before) target.clear(step.before);
    target.receive(step, source, made);
  }
}

function worldOf(one: Case) {
  const source = new PoolModel('src', 'tank').run('create tank/r', 'snapshot -r tank@begin');
  const target = new PoolModel('dst', 'dozer', { next: 500_000 });
  const told = play(source, one.before, (name) => isWithin(name, root));
  const ask = (conflict: SendRequest['conflict']): SendRequest => ({
    dataset: root,
    to: { host: 'dst', dataset: home },
    ...(one.packaged && { package: 'replication' }),
    selfContained: one.selfContained,
    ...(conflict && { conflict }),
  });
  const planned = (conflict?: SendRequest['conflict']) => plan(ask(conflict), source.inventory(), target.inventory());
  carryOut(source, target, planned());
  told.push(...play(source, one.after, (name) => isWithin(name, root)));
  told.push(...play(target, one.there, (name) => isWithin(name, home)).map((command) => `on the target: ${command}`));
  if (source.do(`snapshot -r ${root}@last`)) told.push(`snapshot -r ${root}@last`);
  return { source, target, planned, told };
}

/** Every snapshot by its own guid and its dataset's, regardless of names. */
const snapshotsOf = (model: PoolModel) =>
  new Set([...model.datasets.values()].flatMap((one) => one.snapshots.map(({ guid }) => `${guid} in ${one.guid}`)));

const datasetsOf = (model: PoolModel) => new Map([...model.datasets].map(([name, one]) => [one.guid, name]));

const resolutionsIn = (result: Plan) => (result.ok ? result.steps.flatMap(({ before }) => before ?? []) : []);

/** The common snapshots, of the source's datasets by name: the slow way. */
const known = (source: PoolModel): Set<string> =>
  new Set([...source.datasets.values()].flatMap((one) => [...one.snapshots, ...one.bookmarks].map(({ guid }) => guid)));

const runs = { numRuns: 3000 };

/** Two datasets, one below the other, of which the lower takes the name that the upper leaves. */
const nameTakenOver: Case = {
  before: [
    { op: 'clone', which: 0, where: 0, name: 'a' },
    { op: 'create', which: 0, where: 483, name: 'a' },
    { op: 'snapshot -r', which: 0, where: 0, name: 'a' },
  ],
  after: [
    { op: 'rename', which: 0, where: 0, name: 'e' },
    { op: 'rename', which: 153, where: 0, name: 'a' },
  ],
  there: [],
  packaged: true,
  selfContained: false,
};

describe('after arbitrary changes on both sides', () => {
  it('under refuse nothing is ever done to the target (I5)', () => {
    fc.assert(
      fc.property(anyCase, (one) => {
        const { planned } = worldOf(one);
        const result = planned('refuse');
        expect(result).toEqual(planned());
        expect(resolutionsIn(result)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('under rollback only listed snapshots are destroyed, newer than the newest common one, and no dataset (I5)', () => {
    let cleared = 0;
    let destroyed = 0;
    fc.assert(
      fc.property(anyCase, (one) => {
        const { source, target, planned, told } = worldOf(one);
        const [snapshots, datasets] = [snapshotsOf(target), datasetsOf(target)];
        const result = planned('rollback');
        const resolutions = resolutionsIn(result);
        const listed = new Set(
          resolutions
            .flatMap((resolution) => (resolution.kind === 'rollback' ? resolution.destroys : []))
            .map(({ guid }) => guid),
        );
        try {
          expect(resolutions.every(({ kind }) => kind === 'rollback')).toBe(true);
          const common = known(source);
          for (const resolution of resolutions) {
            if (resolution.kind !== 'rollback') continue;
            const { snapshots: there = [] } = target.datasets.get(resolution.to.name.split('@')[0] ?? '') ?? {};
            const at = there.findIndex(({ guid }) => guid === resolution.to.guid);
            expect(there.slice(at + 1).map(({ guid }) => guid)).toEqual(resolution.destroys.map(({ guid }) => guid));
            expect(resolution.destroys.filter(({ guid }) => common.has(guid))).toEqual([]);
          }
          carryOut(source, target, result);
          const has = snapshotsOf(target);
          const gone = [...snapshots].filter((one) => !has.has(one)).map((one) => one.split(' ')[0]);
          expect(gone.sort()).toEqual([...listed].sort());
          for (const [guid, name] of datasets) expect(datasetsOf(target).get(guid)).toBe(name);
          expect(resolutionsIn(planned('rollback')), 'once is enough').toEqual([]);
          if (result.ok && !result.refused) expect(planned('rollback')).toMatchObject({ ok: true, steps: [] });
        } catch (error) {
          throw new Error(`${told.join('\n')}\n${JSON.stringify(result, null, 1)}`, { cause: error });
        }
        cleared += resolutions.length;
        destroyed += listed.size;
      }),
      runs,
    );
    expect(cleared).toBeGreaterThan(100);
    expect(destroyed).toBeGreaterThan(50);
  });

  it('under rotate no snapshot and no dataset is lost, and writes stay in their dataset', () => {
    let rotated = 0;
    let followed = 0;
    let clones = 0;
    fc.assert(
      fc.property(anyCase, (one) => {
        const { source, target, planned, told } = worldOf(one);
        const [snapshots, datasets] = [snapshotsOf(target), datasetsOf(target)];
        const modified = [...target.datasets.values()].filter((dataset) => dataset.modified).map(({ guid }) => guid);
        const result = planned('rotate');
        try {
          carryOut(source, target, result);
          const [has, stand] = [snapshotsOf(target), datasetsOf(target)];
          for (const one of snapshots) expect(has.has(one), one).toBe(true);
          for (const guid of datasets.keys()) expect(stand.has(guid), `dataset ${guid}`).toBe(true);
          for (const guid of modified) expect(target.datasets.get(stand.get(guid) ?? '')?.modified).toBe(true);
          // the obstacle of a refused dataset may be there
          if (result.ok && !result.refused) expect(planned('rotate')).toMatchObject({ ok: true, steps: [] });
        } catch (error) {
          throw new Error(`${told.join('\n')}\n${JSON.stringify(result, null, 1)}`, { cause: error });
        }
        for (const step of result.ok ? result.steps : []) {
          if (step.before?.kind !== 'rename') continue;
          if (step.before.from === step.targetDataset) rotated++;
          else followed++;
          if (step.origin) clones++;
        }
      }),
      { ...runs, examples: [[nameTakenOver]] },
    );
    expect(rotated).toBeGreaterThan(100);
    expect(clones).toBeGreaterThan(50);
    expect(followed).toBeGreaterThan(0);
  });

  it('a plan that was interrupted right after a conflict resolution continues there', () => {
    fc.assert(
      fc.property(anyCase, fc.constantFrom('rollback' as const, 'rotate' as const), (one, conflict) => {
        const { target, planned, told } = worldOf(one);
        const result = planned(conflict);
        const [resolution] = resolutionsIn(result);
        if (!result.ok || !resolution) return;
        target.clear(resolution);
        const rest = planned(conflict);
        // an origin that was planned before the resolution goes along with it
        const follow = (origin: string): string =>
          resolution.kind === 'rename'
            ? origin.replace(new RegExp(`^${resolution.from}(?=[/@])`), resolution.to)
            : origin;
        // in any order: a renamed dataset is now like any other
        const without = (plans: Plan) =>
          plans.ok &&
          plans.steps
            .map(({ before: _, ...step }) => ({ ...step, ...(step.origin && { origin: follow(step.origin) }) }))
            .map((step) => JSON.stringify(step))
            .toSorted();
        expect(without(rest), told.join('\n')).toEqual(without(result));
        expect(resolutionsIn(rest)).toEqual(resolutionsIn(result).slice(1));
      }),
      { numRuns: 1500 },
    );
  });
});
