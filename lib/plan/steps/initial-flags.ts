import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, parentOf } from '../../../schemas/names.ts';
import { type StreamFlag, streamFlagSchema } from '../../../schemas/stream.ts';

/** What is known of the chain by which a dataset of the target was received, and which cannot change under way. */
export interface ChainFlags {
  /** The target's dataset. */
  dataset: string;
  /** Undefined where it cannot be told. */
  raw: boolean | undefined;
  /** What it began with; undefined where nothing is remembered. */
  flags: readonly StreamFlag[] | undefined;
  /** The source was received from this dataset, and comes back to it: `flags` are of that chain. */
  returns?: true;
}

/** What a chain that begins with these flags is remembered by (schemas/stream.ts). */
export const markOf = (guid: string, flags: readonly StreamFlag[]): string =>
  `${guid}:${flags.filter((flag) => flag !== 'props').join(',')}`;

/** A mark that is of this dataset; undefined for one that is inherited from another. */
export const ownMark = (mark: string | undefined, guid: string): string | undefined =>
  mark?.split(':', 1)[0] === guid ? mark : undefined;

/** Did its chain begin with a raw stream? */
export const isRawMark = (mark: string): boolean => mark.split(/[:,]/).slice(1).includes('raw');

/** The flags in a mark; undefined where it is of another dataset, as an inherited one is. */
function flagsIn(mark: string | undefined, guid: string): readonly StreamFlag[] | undefined {
  const [of, said = ''] = mark?.split(':') ?? [];
  return of === guid ? streamFlagSchema.options.filter((flag) => said.split(',').includes(flag)) : undefined;
}

/**
 * How the target's counterpart of a dataset was begun, from what ZFS itself knows, its own mark, or what else its listing shows.
 * A replica that comes back to its origin has the mark itself: where its blocks were split on their way, large ones must not
 * follow, and where they were not, the rest is to be as large (openzfs#6224, openzfs#18101).
 */
export function initialFlagsOf(source: DatasetEntry, target: DatasetEntry): ChainFlags {
  const own = flagsIn(target.stream, source.guid);
  const back = own ? undefined : flagsIn(source.stream, target.guid);
  const known = begun(source, target, own ?? back);
  return { ...known, raw: sharesEncryption(source, target) ?? known.raw, ...(back && { returns: true }) };
}

/** Is the target's newest snapshot the source's to the last bit, or encrypted anew? Undefined where the listings do not show it. */
function sharesEncryption(source: DatasetEntry, target: DatasetEntry): boolean | undefined {
  const newest = target.snapshots.at(-1);
  const twin = [...source.snapshots, ...source.bookmarks].find(({ guid }) => guid === newest?.guid);
  return newest?.ivset === undefined || twin?.ivset === undefined ? undefined : newest.ivset === twin.ivset;
}

/**
 * The same of the dataset of an origin, whose source may not be listed: a mark that the dataset above has as well is inherited.
 * Undefined where the listing does not show it.
 */
export function initialFlagsOfOrigin(clone: DatasetEntry, origin: string, target: Inventory): ChainFlags | undefined {
  const name = datasetOf(origin);
  const holder = target.datasets.find((dataset) => dataset.name === name);
  if (holder === undefined) return undefined;
  const above = target.datasets.find((dataset) => dataset.name === parentOf(name));
  const own = holder.stream === above?.stream ? undefined : holder.stream;
  return begun(clone, holder, flagsIn(own, own?.split(':')[0] ?? ''));
}

/**
 * Without a mark: what is unencrypted on either side was not received raw, and what the target has no key for was received
 * without one. Else it cannot be told.
 */
function begun(source: DatasetEntry, target: DatasetEntry, flags: ChainFlags['flags']): ChainFlags {
  const isPlain = source.encryption === 'off' || target.encryption === 'off';
  const guess = target.keystatus === 'unavailable' ? true : undefined;
  return { dataset: target.name, raw: isPlain ? false : (flags?.includes('raw') ?? guess), flags };
}
