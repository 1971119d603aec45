import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, parentOf } from '../../../schemas/names.ts';
import { type StreamFlag, streamFlagSchema } from '../../../schemas/stream.ts';

/** The properties of the chain by which a dataset of the target was received, which a chain must not change. */
export interface ChainFlags {
  /** The target's dataset. */
  targetDataset: string;
  /** Undefined if unknown. */
  raw: boolean | undefined;
  /** Its initial flags; undefined if unknown. */
  flags: readonly StreamFlag[] | undefined;
  /** The source was received from this dataset and is now sent back to it: `flags` are those of that chain. */
  returns?: true;
}

/** The value of `zpsend:stream` for a chain with these initial flags (schemas/stream.ts). */
export const markOf = (guid: string, flags: readonly StreamFlag[]): string =>
  `${guid}:${flags.filter((flag) => flag !== 'props').join(',')}`;

/** A mark of this dataset; undefined for a mark that is inherited from another. */
export const ownMark = (mark: string | undefined, guid: string): string | undefined =>
  mark?.split(':', 1)[0] === guid ? mark : undefined;

/** Is the chain with this mark raw? */
export const isRawMark = (mark: string): boolean => mark.split(/[:,]/).slice(1).includes('raw');

/** The flags in a mark; undefined for a mark of another dataset (an inherited one). */
function flagsIn(mark: string | undefined, guid: string): readonly StreamFlag[] | undefined {
  const [of, flags = ''] = mark?.split(':') ?? [];
  return of === guid ? streamFlagSchema.options.filter((flag) => flags.split(',').includes(flag)) : undefined;
}

/**
 * The initial flags of the target's counterpart of a dataset, from its IV sets, its mark, or the rest of its listing. A replica that is
 * sent back has the mark itself: if its large blocks were split in transit, large blocks must not follow; otherwise they must
 * (openzfs#6224, openzfs#18101).
 */
export function initialFlagsOf(source: DatasetEntry, target: DatasetEntry): ChainFlags {
  const own = flagsIn(target.stream, source.guid);
  const back = own ? undefined : flagsIn(source.stream, target.guid);
  const known = chainFlags(source, target, own ?? back);
  return { ...known, raw: sharesEncryption(source, target) ?? known.raw, ...(back && { returns: true }) };
}

/** Has the target's newest snapshot the same IV set as at the source (received raw)? Undefined if the listings do not show it. */
function sharesEncryption(source: DatasetEntry, target: DatasetEntry): boolean | undefined {
  const newest = target.snapshots.at(-1);
  const twin = [...source.snapshots, ...source.bookmarks].find(({ guid }) => guid === newest?.guid);
  return newest?.ivset === undefined || twin?.ivset === undefined ? undefined : newest.ivset === twin.ivset;
}

/**
 * As `initialFlagsOf`, for the dataset of an origin, whose source may not be listed. A mark that its parent has too is inherited.
 * Undefined if the listing does not show the dataset.
 */
export function initialFlagsOfOrigin(clone: DatasetEntry, origin: string, target: Inventory): ChainFlags | undefined {
  const name = datasetOf(origin);
  const holder = target.datasets.find((dataset) => dataset.name === name);
  if (holder === undefined) return undefined;
  const above = target.datasets.find((dataset) => dataset.name === parentOf(name));
  const own = holder.stream === above?.stream ? undefined : holder.stream;
  return chainFlags(clone, holder, flagsIn(own, own?.split(':')[0] ?? ''));
}

/**
 * Without a mark: an unencrypted dataset on either side was not received raw, and a dataset whose key is not loaded on the target was.
 * Otherwise unknown.
 */
function chainFlags(source: DatasetEntry, target: DatasetEntry, flags: ChainFlags['flags']): ChainFlags {
  const isPlain = source.encryption === 'off' || target.encryption === 'off';
  const guess = target.keystatus === 'unavailable' ? true : undefined;
  return { targetDataset: target.name, raw: isPlain ? false : (flags?.includes('raw') ?? guess), flags };
}
