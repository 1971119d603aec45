import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SendRequest } from '../../../../schemas/request.ts';
import { plan } from '../../../support/planning.ts';
import {
  type Happening,
  happen,
  newWorld,
  receive,
  sourceName,
  sourceOf,
  targetName,
  targetOf,
  type World,
} from './plan-model.ts';

const to = { host: 'dst', dataset: targetName };
const planned = (world: World, request: SendRequest) => plan(request, sourceOf(world), targetOf(world));

function carryOut(world: World, steps: number): World {
  const result = planned(world, { dataset: sourceName, to });
  return result.ok ? result.steps.slice(0, steps).reduce(receive, world) : world;
}

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const at = fc.nat(20);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('snapshot'), name, on: fc.constant('source') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot'), name, on: fc.constant('target') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('destroy'), at, on: fc.constantFrom('source', 'target') }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rename'), at, name, on: fc.constantFrom('source', 'target') }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('bookmark'), at }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('replicate'), steps: fc.integer({ min: 1, max: 4 }) }) },
) as fc.Arbitrary<Happening>;

const world = fc
  .tuple(fc.boolean(), fc.array(happening, { minLength: 2, maxLength: 30 }), fc.boolean())
  .map(([isClone, happenings, isPartial]) => {
    const end = happenings.reduce((before, what) => happen(before, what, carryOut), newWorld(isClone));
    if (end.target !== undefined || !isPartial) return end;
    return { ...end, target: { ...end.source, name: targetName, resumeToken: '1-a-b', snapshots: [], bookmarks: [] } };
  })
  .filter(({ source }) => source.snapshots.length > 0);

const requestFor = ({ source }: World): fc.Arbitrary<SendRequest> => {
  const snapshot = fc.constantFrom(...source.snapshots).map((one) => `${sourceName}@${one.name}`);
  const bases = [...source.snapshots.map((s) => `@${s.name}`), ...source.bookmarks.map((b) => `#${b.name}`)];
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant({ dataset: sourceName, to }) },
    { weight: 2, arbitrary: snapshot.map((dataset) => ({ dataset, to })) },
    {
      weight: 2,
      arbitrary: fc.tuple(snapshot, fc.constantFrom(...bases)).map(([dataset, from]) => ({ dataset, from, to })),
    },
    { weight: 1, arbitrary: snapshot.map((dataset) => ({ dataset, full: true, to })) },
  );
};

const situation = world.chain((one) => fc.tuple(fc.constant(one), requestFor(one)));

/** The guids that the target must have at the end, found the slow way. */
function wantedGuids({ source, target }: World, request: SendRequest): string[] {
  const limit = source.snapshots.find((one) => request.dataset === `${sourceName}@${one.name}`);
  if (limit && (request.full || request.from)) return [limit.guid];
  const common = [...source.snapshots, ...source.bookmarks]
    .filter(({ guid }) => target?.snapshots.some((one) => one.guid === guid))
    .map(({ createtxg }) => Number(createtxg));
  const start = Math.max(0, ...common);
  const end = limit ? Number(limit.createtxg) : Number.POSITIVE_INFINITY;
  return source.snapshots
    .filter(({ createtxg }) => Number(createtxg) > start && Number(createtxg) <= end)
    .map(({ guid }) => guid);
}

/** Must a request for a chain be refused? Only when the target's newest is unknown here, a name is taken there, or the named snapshot comes too late. */
function isChainRefused({ source, target }: World, request: SendRequest, wanted: string[]): boolean {
  const newest = target?.snapshots.at(-1);
  if (newest === undefined) return false;
  const [, leaf] = request.dataset.split('@');
  const goal = source.snapshots.find(({ name }) => name === leaf);
  if (goal && target?.snapshots.some(({ guid }) => guid === goal.guid)) return false;
  if (goal && wanted.length === 0) return true;
  if (![...source.snapshots, ...source.bookmarks].some(({ guid }) => guid === newest.guid)) return true;
  const names = source.snapshots.filter(({ guid }) => wanted.includes(guid)).map((one) => one.name);
  return target?.snapshots.some((one) => names.includes(one.name)) ?? false;
}

describe('after arbitrary changes on both sides', () => {
  it('each step can be performed, nothing is sent twice, all wanted snapshots arrive, and then the plan is empty', () => {
    const seen = { steps: 0, none: 0, refused: 0, bookmarks: 0, clones: 0 };
    fc.assert(
      fc.property(situation, ([before, request]) => {
        const result = planned(before, request);
        if (!result.ok) {
          seen.refused++;
          return;
        }
        seen[result.steps.length > 0 ? 'steps' : 'none']++;
        if (result.steps[0]?.from?.kind === 'bookmark') seen.bookmarks++;
        if (result.steps[0]?.origin) seen.clones++;
        const after = result.steps.reduce(receive, before);
        const had = before.target?.snapshots ?? [];
        expect(after.target?.snapshots.slice(0, had.length) ?? []).toEqual(had);
        expect(after.target?.snapshots.map(({ guid }) => guid) ?? []).toEqual(
          expect.arrayContaining(wantedGuids(before, request)),
        );
        expect(planned(after, request)).toEqual({ ok: true, steps: [] });
      }),
      { numRuns: 3000 },
    );
    // chance decides how often; never would mean that the generator cannot make it
    for (const [kind, times] of Object.entries(seen)) expect(times, kind).toBeGreaterThan(2);
  });

  it('a chain is refused exactly if it cannot be performed without changing snapshots of the target', () => {
    const chain = situation.filter(([, request]) => !request.from && !request.full);
    fc.assert(
      fc.property(chain, ([before, request]) => {
        const wanted = wantedGuids(before, request);
        expect(planned(before, request).ok).toBe(!isChainRefused(before, request, wanted));
      }),
      { numRuns: 1500 },
    );
  });

  it('the evidence of a refusal is true', () => {
    fc.assert(
      fc.property(situation, ([before, request]) => {
        const result = planned(before, request);
        if (result.ok || result.evidence === undefined) return;
        const { newestCommon, sourceOnly, targetOnly } = result.evidence;
        const guidOf = (side: World['target'], leaf: string) => side?.snapshots.find((one) => one.name === leaf)?.guid;
        const there = before.target?.snapshots.map(({ guid }) => guid) ?? [];
        const here = before.source.snapshots.map(({ guid }) => guid);
        for (const leaf of sourceOnly) expect(there).not.toContain(guidOf(before.source, leaf));
        for (const leaf of targetOnly) expect(here).not.toContain(guidOf(before.target, leaf));
        const bases = [...before.source.snapshots, ...before.source.bookmarks];
        const nameThere = (guid: string) => before.target?.snapshots.find((one) => one.guid === guid)?.name;
        const names = ({ name, guid }: { name: string; guid: string }) => [name, nameThere(guid)];
        const common = bases.filter(
          (one) => there.includes(one.guid) && names(one).includes(newestCommon ?? undefined),
        );
        expect(common.length > 0).toBe(newestCommon !== null);
        if (newestCommon === null) expect(here.some((guid) => there.includes(guid))).toBe(false);
      }),
      { numRuns: 1500 },
    );
  });

  it('the plan depends only on the listings, not on their order, and changes nothing in them (I12)', () => {
    fc.assert(
      fc.property(situation, fc.infiniteStream(fc.nat(1000)), ([before, request], keys) => {
        const [source, target] = [sourceOf(before), targetOf(before)];
        const result = plan(request, deepFreeze(source), deepFreeze(target));
        const shuffled = <T>(list: readonly T[]): T[] =>
          list
            .map((one) => ({ one, key: keys.next().value ?? 0 }))
            .toSorted((a, b) => a.key - b.key)
            .map(({ one }) => one);
        const mixed = [source, target].map(({ host, datasets }) => ({
          host,
          datasets: shuffled(datasets.map((one) => ({ ...one, snapshots: shuffled(one.snapshots) }))),
        }));
        expect(mixed.length === 2 && plan(request, mixed[0] ?? source, mixed[1] ?? target)).toEqual(result);
      }),
      { numRuns: 1000 },
    );
  });
});

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}
