import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { datasetOf, isWithin, leafOf } from '../../../schemas/names.ts';
import { isAfter } from '../inventory/txg.ts';
import type { FamilyFinder } from '../match/clone-families.ts';
import type { SeedStart } from '../match/dataset-task.ts';
import type { Item } from '../match/match-targets.ts';
import type { SnapshotFinder } from '../match/origin.ts';
import { type Refusal, refuse } from '../refusal.ts';

export interface CloneContext {
  source: { host: string };
  target: { host: string };
  selfContained: boolean;
  /** The source's dataset in the request, the root of a package. */
  sourceDataset: string;
  /** The whole package, by the source's names. */
  items: ReadonlyMap<string, Item>;
  /** With `selfContained` it searches only counterparts of the package itself. */
  findInFamily: FamilyFinder;
  /** Clones that contain the dataset of their own origin, so neither can be received before the other. */
  containsOrigin: ReadonlySet<Item>;
  /** Target names of origins that the plan sends, by the source's names. */
  brought: ReadonlyMap<string, string>;
  /** Why a dataset of the package cannot be sent. */
  refusalOf: (item: Item) => Refusal | undefined;
  findOutside: SnapshotFinder;
}

/** How the target gets a dataset that it lacks: in full, or as a clone of a snapshot that it has or will have. */
export function seedStart(item: Item, context: CloneContext): SeedStart | Refusal {
  const promoted = promotedStart(item, context);
  if (promoted) return promoted;
  const { origin } = item.dataset;
  if (origin === undefined) return { kind: 'full' };
  if (origin.guid === undefined) {
    if (context.selfContained) return { kind: 'full' };
    return originMissing(
      item,
      context,
      `the listing of ${context.source.host} does not show its guid`,
      sendFirst(item, context),
    );
  }
  const known = { name: origin.name, guid: origin.guid };
  const cloneOf = (name: string): SeedStart => ({ kind: 'clone', from: { ...known, kind: 'snapshot' }, origin: name });
  const inside = originInside(item, context);
  if (inside !== undefined && !context.containsOrigin.has(item)) {
    const there = snapshotWithGuid(inside.existing, known.guid) ?? context.brought.get(known.name);
    if (there !== undefined) return cloneOf(there);
  }
  const outside = context.selfContained ? undefined : context.findOutside(known, item.targetDataset);
  if (outside !== undefined) return cloneOf(outside);
  const refusal = inside && !context.containsOrigin.has(item) ? context.refusalOf(inside) : undefined;
  if (inside && refusal) return blockedBy(item, inside, refusal, `is a clone of ${inside.dataset.name}`);
  if (context.selfContained) return { kind: 'full' };
  if (context.containsOrigin.has(item)) {
    return originMissing(
      item,
      context,
      `${datasetOf(known.name)} is inside it, so neither can be received before the other`,
      undefined,
    );
  }
  const nowhere = `no dataset in the target's pool on ${context.target.host} has it (guid ${known.guid})`;
  if (inside === undefined) return originMissing(item, context, nowhere, sendFirst(item, context));
  const late = `${nowhere} or can still receive it, because ${inside.targetDataset} has newer ones`;
  return originMissing(item, context, late, `leave out the clone (--exclude '${item.dataset.name}')`);
}

/** An origin inside the package's tree has to be sent with it: sent alone, it would get placeholders as parents. */
function sendFirst({ dataset: { origin } }: Item, { sourceDataset, target }: CloneContext): string {
  const holder = datasetOf(origin?.name ?? '');
  return isWithin(holder, sourceDataset)
    ? `include ${holder} in the package, with @${leafOf(origin?.name ?? '')} (do not exclude it, and give it the package's snapshot)`
    : `send ${holder} to ${target.host} first`;
}

/** The dataset of the package that has the clone's origin as a wanted snapshot. */
export function originInside({ dataset: { origin } }: Item, { items }: Pick<CloneContext, 'items'>): Item | undefined {
  const holder = origin && items.get(datasetOf(origin.name));
  if (holder?.wanted.kind !== 'chain') return undefined;
  const isWanted = holder.wanted.snapshots.some(
    ({ name, guid }) => guid === origin?.guid && name === leafOf(origin.name),
  );
  return isWanted ? holder : undefined;
}

/** The full name of the dataset's snapshot with that guid. */
export function snapshotWithGuid(existing: DatasetEntry | undefined, guid: string | undefined): string | undefined {
  const found = existing?.snapshots.find((entry) => entry.guid === guid);
  return existing && found && `${existing.name}@${found.name}`;
}

/**
 * After `zfs promote`, the snapshots before a clone belong to the clone at the source, and still to its origin on the target
 * (znapzend#503). So the clone starts as a clone of the newest of them, and none of them is sent again. The last wanted snapshot has to
 * be sent in any case, because a receive has to create the dataset.
 */
export function promotedStart(
  { dataset, wanted }: Item,
  { findInFamily }: Pick<CloneContext, 'findInFamily'>,
): SeedStart | undefined {
  const last = wanted.kind === 'chain' ? wanted.snapshots.at(-1) : wanted.to;
  for (const entry of dataset.snapshots.toReversed()) {
    const origin = last && isAfter(last, entry) ? findInFamily(dataset.name, entry.guid) : undefined;
    if (origin === undefined) continue;
    const from = { name: `${dataset.name}@${entry.name}`, guid: entry.guid, kind: 'snapshot' as const };
    return { kind: 'clone', from, origin, after: entry };
  }
  return undefined;
}

/** @param fix besides -c */
function originMissing(
  { dataset, targetDataset }: Item,
  { source, target: { host } }: CloneContext,
  why: string,
  fix: string | undefined,
): Refusal {
  const { name, origin } = dataset;
  const first = fix === undefined ? '' : `${fix}, or `;
  return refuse(
    'ORIGIN_MISSING',
    `${name} on ${source.host} is a clone of ${origin?.name}, but ${why}. To fix: ${first}send the clone in full (-c).`,
    {
      details: {
        source: source.host,
        target: host,
        dataset: targetDataset,
        clone: name,
        origin: origin?.name ?? '',
        originGuid: origin?.guid ?? null,
      },
    },
  );
}

/** A refusal because of another dataset of the package. */
export const blockedBy = (item: Item, by: Item, { error }: Refusal, why: string): Refusal =>
  refuse(
    error.code,
    `${item.dataset.name} ${why}, so it cannot be sent before the refusal of ${by.dataset.name} is resolved ` +
      `(${error.code}).`,
    { details: { dataset: item.targetDataset, needs: by.dataset.name } },
  );
