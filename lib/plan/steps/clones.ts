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
  /** The source's dataset that is asked for, with all below it where that is a package. */
  root: string;
  /** The whole package, by the source's names. */
  items: ReadonlyMap<string, Item>;
  /** With `selfContained` it looks only into counterparts of the package itself. */
  findInFamily: FamilyFinder;
  /** Clones that cannot wait for their origin, since what holds it lies inside them. */
  apart: ReadonlySet<Item>;
  /** Target names of origins that the plan brings, by the source's names. */
  brought: ReadonlyMap<string, string>;
  /** Why a dataset of the package cannot be sent. */
  refusalOf: (item: Item) => Refusal | undefined;
  findOutside: SnapshotFinder;
}

/** How the target gets a dataset that it lacks: whole, or as a clone of what it has, or is about to have. */
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
  if (inside !== undefined && !context.apart.has(item)) {
    const there = heldBy(inside.existing, known.guid) ?? context.brought.get(known.name);
    if (there !== undefined) return cloneOf(there);
  }
  const outside = context.selfContained ? undefined : context.findOutside(known, item.targetDataset);
  if (outside !== undefined) return cloneOf(outside);
  const refusal = inside && !context.apart.has(item) ? context.refusalOf(inside) : undefined;
  if (inside && refusal) return blockedBy(item, inside, refusal, 'is a clone of it');
  if (context.selfContained) return { kind: 'full' };
  if (context.apart.has(item)) {
    return originMissing(
      item,
      context,
      `${datasetOf(known.name)} lies inside it, so neither can be received before the other`,
      undefined,
    );
  }
  const nowhere = `no dataset in the target's pool on ${context.target.host} has it (guid ${known.guid})`;
  if (inside === undefined) return originMissing(item, context, nowhere, sendFirst(item, context));
  const late = `${nowhere}, nor can it come any more, since ${inside.targetDataset} has newer ones`;
  return originMissing(item, context, late, `leave it out (--exclude '${item.dataset.name}')`);
}

/** Sent by itself, an origin of the package's own tree would have placeholders above it, where the package's datasets belong. */
function sendFirst({ dataset: { origin } }: Item, { root, target }: CloneContext): string {
  const holder = datasetOf(origin?.name ?? '');
  return isWithin(holder, root)
    ? `have ${holder} in the package too, with @${leafOf(origin?.name ?? '')} (not excluded, and with the snapshot that the package is of)`
    : `send ${holder} to ${target.host} first`;
}

/** The dataset of the package that the clone's origin is a wanted snapshot of. */
export function originInside({ dataset: { origin } }: Item, { items }: Pick<CloneContext, 'items'>): Item | undefined {
  const holder = origin && items.get(datasetOf(origin.name));
  if (holder?.wanted.kind !== 'chain') return undefined;
  const isWanted = holder.wanted.snapshots.some(
    ({ name, guid }) => guid === origin?.guid && name === leafOf(origin.name),
  );
  return isWanted ? holder : undefined;
}

/** The name of a target's snapshot with that guid. */
export function heldBy(existing: DatasetEntry | undefined, guid: string | undefined): string | undefined {
  const held = existing?.snapshots.find((entry) => entry.guid === guid);
  return existing && held && `${existing.name}@${held.name}`;
}

/**
 * After `zfs promote` the snapshots of a clone's past belong to it at the source, and at the target still to what it was
 * cloned from (znapzend#503): it begins as a clone of the newest of them, and none of them is sent again. Only the last
 * that is wanted has to come, wherever else it is, since a dataset is made by what it receives.
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

/** @param way out, beside -c */
function originMissing(
  { dataset, targetDataset }: Item,
  { source, target: { host } }: CloneContext,
  why: string,
  way: string | undefined,
): Refusal {
  const { name, origin } = dataset;
  const ways = way === undefined ? 'Way out:' : `Ways out: ${way}, or`;
  return refuse(
    'ORIGIN_MISSING',
    `${name} on ${source.host} is a clone of ${origin?.name}, and ${why}. ${ways} have the clone sent whole (-c).`,
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

/** Refused because of another dataset of the package. */
export const blockedBy = (item: Item, by: Item, { error }: Refusal, why: string): Refusal =>
  refuse(
    error.code,
    `${item.dataset.name} cannot be sent without ${by.dataset.name}, since it ${why}, and that is refused ` +
      `(${error.code}).`,
    { details: { dataset: item.targetDataset, needs: by.dataset.name } },
  );
