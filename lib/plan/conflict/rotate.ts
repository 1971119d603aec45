import type { Rename } from '../../../schemas/conflict.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, elementsOf, isWithin, maxElements, maxNameLength, parentOf } from '../../../schemas/names.ts';
import { type Base, fromOf, newestCommon } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';
import type { SeedStart } from '../match/dataset-task.ts';
import type { Item } from '../match/match-targets.ts';
import { originalNameOf, rotatedMark } from '../match/rotated-name.ts';

import { someOf } from '../refusal.ts';
import type { Wanted } from '../request/wanted.ts';
import type { Found } from './rollback.ts';

/** The last snapshot that the request asks for. */
export const lastOf = (wanted: Wanted) => (wanted.kind === 'chain' ? wanted.snapshots.at(-1) : wanted.to);

/**
 * Renames the target's dataset to `NAME_diverged_TXG`: the createtxg there of the common snapshot, or of the dataset itself.
 * Not if it has child datasets, which would be renamed with it.
 */
export function rotateTarget(target: DatasetEntry, common: Base | undefined, listing: Inventory): Found<Rename> {
  const { name, guid } = target;
  if (parentOf(name) === undefined) return { why: `${name} is a pool, which cannot be renamed; choose another target` };
  const below = listing.datasets.filter((one) => one.name !== name && isWithin(one.name, name));
  if (below.length > 0) {
    const names = someOf(
      below.map((one) => one.name),
      '',
    );
    return {
      why: `its child datasets (${names}) would be renamed with it; rename them elsewhere first, or choose another target`,
    };
  }
  const { createtxg } = target.snapshots.find((entry) => entry.guid === common?.guid) ?? target;
  const to = freeName(`${name}${rotatedMark}${createtxg}`, new Set(listing.datasets.map((one) => one.name)));
  const longest = Math.max(0, ...target.snapshots.map((entry) => entry.name.length + 1));
  if (to.length + longest > maxNameLength) return { why: `the name ${to} would be too long; choose another target` };
  return { resolution: { kind: 'rename', from: name, to, guid } };
}

const tooDeep = (name: string): string =>
  `${name} has ${elementsOf(name)} elements, and zfs rename accepts at most ${maxElements}`;

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  for (let number = 2; ; number++) if (!taken.has(`${wanted}_${number}`)) return `${wanted}_${number}`;
}

/**
 * How a rotated dataset starts again: as a clone of the newest common snapshot there, so nothing is sent twice. The result is
 * the same before and after the rename, and while the first stream is interrupted.
 */
export function startFromRotated({ dataset, wanted, targetDataset }: Item, listing: Inventory): SeedStart | undefined {
  const last = lastOf(wanted);
  let newest: { base: Base; origin: string } | undefined;
  for (const rotated of listing.datasets) {
    if (originalNameOf(rotated.name) !== targetDataset) continue;
    const base = newestCommon(dataset, rotated);
    const common = rotated.snapshots.find(({ guid }) => guid === base?.guid);
    if (!base || !common || !last || !isAfter(last, base)) continue;
    const origin = `${rotated.name}@${common.name}`;
    const isBetter = !newest || isAfter(base, newest.base) || (!isAfter(newest.base, base) && origin < newest.origin);
    if (isBetter) newest = { base, origin };
  }
  if (!newest) return undefined;
  return { kind: 'clone', from: fromOf(dataset.name, newest.base), origin: newest.origin, after: newest.base };
}

/** Why the new name of a dataset, or of one that is renamed with it, would be too long or too deep. */
function nameFault(from: string, to: string, { datasets }: Inventory): string | undefined {
  for (const { name, snapshots } of datasets) {
    if (!isWithin(name, from)) continue;
    const renamed = `${to}${name.slice(from.length)}`;
    if (elementsOf(renamed) > maxElements && elementsOf(to) > elementsOf(from)) return tooDeep(renamed);
    const longest = Math.max(0, ...snapshots.map((entry) => entry.name.length + 1));
    if (renamed.length + longest > maxNameLength) return `the names of the snapshots of ${renamed} would be too long`;
  }
  return undefined;
}

/** Renames a dataset of the target, with its descendants, after it was renamed at the source. */
export function follow({ dataset, targetDataset, previousName = '' }: Item, listing: Inventory): Found<Rename> {
  const there = listing.datasets.find(({ name }) => name === previousName);
  if (!there) return { why: `the listing shows no ${previousName}` };
  const above = listing.datasets.find(({ name }) => name === parentOf(targetDataset));
  if (above?.type !== 'filesystem') return { why: `${targetDataset} has no parent filesystem there` };
  if (isWithin(targetDataset, previousName)) return { why: `${targetDataset} would lie inside ${previousName} itself` };
  if (listing.datasets.some(({ name }) => name === targetDataset))
    return { why: `${targetDataset} already exists there` };
  const fault = nameFault(previousName, targetDataset, listing);
  if (fault !== undefined) return { why: fault };
  const common = newestCommon(dataset, there);
  const newest = there.snapshots.reduce<DatasetEntry['snapshots'][number] | undefined>(
    (last, entry) => (last && !isAfter(entry, last) ? last : entry),
    undefined,
  );
  if (!common || newest?.guid !== common.guid) {
    return {
      why: `${previousName} has diverged: its newest snapshot is @${newest?.name}, which the source does not have`,
    };
  }
  return { resolution: { kind: 'rename', from: previousName, to: targetDataset, guid: there.guid } };
}

/** Does the rename rotate the target, rather than follow a rename at the source? */
export const isRotation = ({ from }: Rename, targetDataset: string): boolean => datasetOf(from) === targetDataset;
