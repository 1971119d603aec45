import type { Rename } from '../../../schemas/conflict.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, elementsOf, isWithin, maxElements, maxNameLength, parentOf } from '../../../schemas/names.ts';
import { type Base, fromOf, newestCommon } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';
import type { SeedStart } from '../match/dataset-task.ts';
import type { Item } from '../match/match-targets.ts';
import { mark, originalNameOf } from '../match/rotated-name.ts';
import { someOf } from '../refusal.ts';
import type { Wanted } from '../request/wanted.ts';
import type { Found } from './rollback.ts';

/** The last snapshot that the target shall have. */
export const lastOf = (wanted: Wanted) => (wanted.kind === 'chain' ? wanted.snapshots.at(-1) : wanted.to);

/**
 * The target's dataset renamed out of the way, to `NAME_diverged_TXG`: the createtxg there of the common snapshot, or of the
 * dataset itself. What lies below it would move along, which is not ours to decide.
 */
export function rotateTarget(target: DatasetEntry, common: Base | undefined, listing: Inventory): Found<Rename> {
  const { name, guid } = target;
  if (parentOf(name) === undefined) return { why: `${name} is a pool, which cannot be renamed` };
  const below = listing.datasets.filter((one) => one.name !== name && isWithin(one.name, name));
  if (below.length > 0) {
    const names = someOf(
      below.map((one) => one.name),
      '',
    );
    return { why: `${names} below it would move along; rename them out of it first, or send elsewhere` };
  }
  const { createtxg } = target.snapshots.find((entry) => entry.guid === common?.guid) ?? target;
  const to = freeName(`${name}${mark}${createtxg}`, new Set(listing.datasets.map((one) => one.name)));
  const longest = Math.max(0, ...target.snapshots.map((entry) => entry.name.length + 1));
  if (to.length + longest > maxNameLength) return { why: `${to} would be too long a name` };
  return { clearing: { kind: 'rename', from: name, to, guid } };
}

const tooDeep = (name: string): string =>
  `${name} has ${elementsOf(name)} elements, and zfs renames to names of ${maxElements} at most`;

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  for (let number = 2; ; number++) if (!taken.has(`${wanted}_${number}`)) return `${wanted}_${number}`;
}

/**
 * Where a dataset begins that was renamed aside: as a clone of the newest common snapshot there, so that nothing is sent twice.
 * It is the same before and after the renaming is done, and while the first stream is interrupted.
 */
export function startFromRotated({ dataset, wanted, targetDataset }: Item, listing: Inventory): SeedStart | undefined {
  const last = lastOf(wanted);
  let newest: { base: Base; origin: string } | undefined;
  for (const aside of listing.datasets) {
    if (originalNameOf(aside.name) !== targetDataset) continue;
    const base = newestCommon(dataset, aside);
    const held = aside.snapshots.find(({ guid }) => guid === base?.guid);
    if (!base || !held || !last || !isAfter(last, base)) continue;
    const origin = `${aside.name}@${held.name}`;
    const isBetter = !newest || isAfter(base, newest.base) || (!isAfter(newest.base, base) && origin < newest.origin);
    if (isBetter) newest = { base, origin };
  }
  if (!newest) return undefined;
  return { kind: 'clone', from: fromOf(dataset.name, newest.base), origin: newest.origin, after: newest.base };
}

/** What a renaming would make too long or too deep a name of: the dataset itself, or what moves along with it. */
function unfitBelow(from: string, to: string, { datasets }: Inventory): string | undefined {
  for (const { name, snapshots } of datasets) {
    if (!isWithin(name, from)) continue;
    const renamed = `${to}${name.slice(from.length)}`;
    if (elementsOf(renamed) > maxElements && elementsOf(to) > elementsOf(from)) return tooDeep(renamed);
    const longest = Math.max(0, ...snapshots.map((entry) => entry.name.length + 1));
    if (renamed.length + longest > maxNameLength) return `${renamed} with its snapshots would be too long a name`;
  }
  return undefined;
}

/** A dataset that was renamed at the source is renamed on the target too, with all below it. */
export function follow({ dataset, targetDataset, previousName = '' }: Item, listing: Inventory): Found<Rename> {
  const there = listing.datasets.find(({ name }) => name === previousName);
  if (!there) return { why: `the listing shows no ${previousName}` };
  const above = listing.datasets.find(({ name }) => name === parentOf(targetDataset));
  if (above?.type !== 'filesystem') return { why: `${targetDataset} has nothing to lie in there` };
  if (isWithin(targetDataset, previousName)) return { why: `${targetDataset} would lie inside ${previousName} itself` };
  if (listing.datasets.some(({ name }) => name === targetDataset)) return { why: `${targetDataset} stands in the way` };
  const fault = unfitBelow(previousName, targetDataset, listing);
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
  return { clearing: { kind: 'rename', from: previousName, to: targetDataset, guid: there.guid } };
}

/** Does a renaming move what stands at the target out of the way, rather than bring something there? */
export const isRotation = ({ from }: Rename, target: string): boolean => datasetOf(from) === target;
