import type { DatasetEntry, Inventory, SnapshotEntry } from '../../../../schemas/inventory.ts';
import type { Step } from '../../../../schemas/plan.ts';
import { dataset } from './plan-history.ts';

/** Events on both sides between runs; numbers choose among the existing objects. */
export type Happening =
  | { kind: 'snapshot'; name: string; on: 'source' | 'target' }
  | { kind: 'destroy'; at: number; on: 'source' | 'target' }
  | { kind: 'rename'; at: number; name: string; on: 'source' | 'target' }
  | { kind: 'bookmark'; at: number }
  | { kind: 'replicate'; steps: number };

export interface World {
  source: DatasetEntry;
  /** The target's dataset, absent until the first step arrives. */
  target: DatasetEntry | undefined;
  /** Counts guids and, on each side for itself, txgs: the target's run backwards in name and far ahead in number. */
  clock: number;
}

export const sourceName = 'zones/test';
export const targetName = 'backup/it';
const gold = { name: 'zones/base@gold', guid: '1' };

export const newWorld = (isClone: boolean): World => ({
  source: dataset(sourceName, '', isClone ? { origin: gold } : {}),
  target: undefined,
  clock: 8,
});

export const sourceOf = ({ source }: World): Inventory => ({
  host: 'src',
  datasets: [dataset('zones/base', '@gold,1'), source],
});

export const targetOf = ({ target }: World): Inventory => ({
  host: 'dst',
  datasets: [dataset('backup/base', '@gold,1,900'), ...(target ? [target] : [])],
});

const entry = (name: string, guid: number, createtxg: number): SnapshotEntry => ({
  name,
  guid: String(guid),
  createtxg: String(createtxg),
  used: 0,
  referenced: guid * 100,
  written: guid * 10,
  userrefs: 0,
});

const hasName = (side: DatasetEntry, name: string) => side.snapshots.some((snapshot) => snapshot.name === name);

/** The world after one event; an impossible one changes nothing. `carryOut` plans and performs a few steps. */
export function happen(world: World, what: Happening, carryOut: (world: World, steps: number) => World): World {
  const clock = world.clock + 1;
  if (what.kind === 'replicate') return carryOut(world, what.steps);
  if (what.kind === 'bookmark') {
    const { snapshots, bookmarks } = world.source;
    const of = snapshots[what.at % Math.max(1, snapshots.length)];
    if (of === undefined) return world;
    const bookmark = { name: `m${clock}`, guid: of.guid, createtxg: of.createtxg };
    return { ...world, clock, source: { ...world.source, bookmarks: [...bookmarks, bookmark] } };
  }
  const side = world[what.on];
  if (side === undefined) return world;
  return { ...world, clock, [what.on]: { ...side, snapshots: changed(side, what, clock) } };
}

function changed(
  side: DatasetEntry,
  what: Exclude<Happening, { kind: 'replicate' | 'bookmark' }>,
  clock: number,
): SnapshotEntry[] {
  const { snapshots } = side;
  if (what.kind !== 'destroy' && hasName(side, what.name)) return snapshots;
  if (what.kind === 'snapshot')
    return [...snapshots, entry(what.name, clock, what.on === 'source' ? clock : 1000 + clock)];
  const at = what.at % Math.max(1, snapshots.length);
  // like a prune job, leave the target its last one: without any it would be EXISTS
  if (what.kind === 'destroy') return snapshots.length > 1 ? snapshots.toSpliced(at, 1) : snapshots;
  return snapshots.map((snapshot, place) => (place === at ? { ...snapshot, name: what.name } : snapshot));
}

/** Performs a step like `zfs send` and `zfs receive`, or throws as they fail. */
export function receive(world: World, step: Step): World {
  const { source, target } = world;
  const must = (fact: boolean, what: string) => {
    if (!fact) throw new Error(`${what}: ${JSON.stringify(step)}`);
  };
  const sent = source.snapshots.find((snapshot) => `${source.name}@${snapshot.name}` === step.to.name);
  must(sent?.guid === step.to.guid, 'the source does not have what is sent');
  must(step.targetDataset === targetName, 'goes elsewhere');
  must(!target?.snapshots.some(({ guid }) => guid === step.to.guid), 'is sent twice');
  must((step.type === 'full') === (step.from === undefined), 'a full stream has no base, an incremental has one');
  if (step.from) mustHaveBase(world, step, must);
  const startsAnew = step.from === undefined || step.origin !== undefined;
  must(
    startsAnew === !target?.snapshots.length,
    startsAnew ? 'would overwrite a dataset' : 'has nothing to start from',
  );
  if (!startsAnew) must(target?.snapshots.at(-1)?.guid === step.from?.guid, 'the base is not the newest on the target');
  const name = step.to.name.slice(step.to.name.indexOf('@') + 1);
  must(!(target && hasName(target, name)), 'the name is taken');
  const clock = world.clock + 1;
  const received = { ...entry(name, 0, 1000 + clock), guid: step.to.guid };
  const { resumeToken: _, ...before } = target ?? dataset(targetName, '');
  return { ...world, clock, target: { ...before, snapshots: [...before.snapshots, received] } };
}

function mustHaveBase({ source }: World, { from, to, origin }: Step, must: (fact: boolean, what: string) => void) {
  if (from === undefined) return;
  if (origin !== undefined) {
    must(from.name === source.origin?.name && from.guid === source.origin?.guid, 'is not the origin of the clone');
    must(origin === 'backup/base@gold', 'the target does not have the origin');
    return;
  }
  const all = from.kind === 'snapshot' ? source.snapshots : source.bookmarks;
  const sigil = from.kind === 'snapshot' ? '@' : '#';
  const base = all.find((one) => `${source.name}${sigil}${one.name}` === from.name);
  must(base?.guid === from.guid, 'the source does not have the base');
  const sent = source.snapshots.find(({ guid }) => guid === to.guid);
  must(Number(base?.createtxg) < Number(sent?.createtxg), 'the base is not older');
}
