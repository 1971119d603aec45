import type { DatasetEntry, Inventory, SnapshotEntry } from '../../schemas/inventory.ts';
import { isWithin } from '../../schemas/names.ts';
import type { Content, RestrictedSide, VerifiedDataset, VerifiedSnapshot } from '../../schemas/verify.ts';

export interface Comparison {
  /** The dataset on the source, and what it is called on the target. */
  source: string;
  target: string;
  /** With all datasets below it. */
  recursive: boolean;
  /** Is it left out, by its name on the source? */
  isLeftOut?: (dataset: string) => boolean;
  /** Only this snapshot of each. */
  snapshot?: string;
}

/** What both sides have of a dataset, or of a tree, by guid; in order of name, what only the target has at the end. */
export function compare(asked: Comparison, source: Inventory, target: Inventory): VerifiedDataset[] {
  const [ours, theirs] = [treeOf(asked, source, asked.source), treeOf(asked, target, asked.target)];
  const of = (counterparts: ReadonlyMap<string, DatasetEntry>, below: string) => counterparts.get(below);
  const both = [...ours].map(([below, entry]): VerifiedDataset => {
    const names = { source: entry.name, target: `${asked.target}${below}` };
    const counterpart = of(theirs, below);
    if (entry.withheld || counterpart?.withheld) return { ...names, state: 'withheld', snapshots: [] };
    const all = matched(entry.snapshots, counterpart?.snapshots ?? []);
    const snapshots = asked.snapshot === undefined ? all : all.filter(({ source }) => source?.name === asked.snapshot);
    const goesOn = canGoOn(entry, counterpart);
    const newestCommon = snapshots.findLast(isCommon)?.source?.name;
    return {
      ...names,
      state: stateOf(snapshots, asked.snapshot !== undefined, goesOn),
      ...(newestCommon !== undefined && { newestCommon, ...(!goesOn && { targetIsAhead: true }) }),
      snapshots,
    };
  });
  const extra = [...theirs]
    .filter(([below]) => !ours.has(below))
    .map(
      ([below, entry]): VerifiedDataset => ({
        source: `${asked.source}${below}`,
        target: entry.name,
        state: 'extra',
        snapshots: asked.snapshot === undefined ? matched([], entry.snapshots) : [],
      }),
    );
  return [...both, ...extra];
}

/** Which sides' listings leave out something of what is compared: what is missing there may be there. */
export function restrictedSides(asked: Comparison, source: Inventory, target: Inventory): RestrictedSide[] {
  const isRestricted = (listing: Inventory, root: string): boolean =>
    (asked.recursive && listing.restricted === true) ||
    [...treeOf(asked, listing, root).values()].some(({ withheld }) => withheld);
  return [
    ...(isRestricted(source, asked.source)
      ? [{ side: 'source', host: source.host, dataset: asked.source } as const]
      : []),
    ...(isRestricted(target, asked.target)
      ? [{ side: 'target', host: target.host, dataset: asked.target } as const]
      : []),
  ];
}

/** By what follows the root's name, which is nothing for the root itself. */
function treeOf(asked: Comparison, { datasets }: Inventory, root: string): Map<string, DatasetEntry> {
  const { source, recursive, isLeftOut = () => false } = asked;
  const within = datasets.filter(({ name }) => name === root || (recursive && isWithin(name, root)));
  const all = within.map((entry): [string, DatasetEntry] => [entry.name.slice(root.length), entry]);
  return new Map(all.filter(([below]) => !isLeftOut(`${source}${below}`)));
}

const nameAndGuid = ({ name, guid }: SnapshotEntry) => ({ name, guid });

/** The source's snapshots in their order, each with its counterpart by guid, or else by name; then what only the target has. */
function matched(source: readonly SnapshotEntry[], target: readonly SnapshotEntry[]): VerifiedSnapshot[] {
  const byGuid = new Map(target.map((entry) => [entry.guid, entry]));
  const guids = new Set(source.map(({ guid }) => guid));
  // what has a counterpart by guid is nobody's by name
  const byName = new Map(target.filter(({ guid }) => !guids.has(guid)).map((entry) => [entry.name, entry]));
  const rows = source.map((ours): VerifiedSnapshot => {
    const same = byGuid.get(ours.guid);
    const theirs = same ?? byName.get(ours.name);
    if (!theirs) return { state: 'missing', source: nameAndGuid(ours) };
    // what was received redacted has the guid, and lacks blocks
    const isSame = same !== undefined && same.redacted === ours.redacted;
    const state = !isSame ? 'different' : same.name === ours.name ? 'equal' : 'renamed';
    return { state, source: nameAndGuid(ours), target: nameAndGuid(theirs) };
  });
  const taken = new Set(rows.map((row) => row.target?.guid));
  const extra = target.filter(({ guid }) => !taken.has(guid));
  return [...rows, ...extra.map((theirs): VerifiedSnapshot => ({ state: 'extra', target: nameAndGuid(theirs) }))];
}

/** Do both sides have it? */
export const isCommon = ({ state }: VerifiedSnapshot): boolean => state === 'equal' || state === 'renamed';

/** Is the target's newest snapshot a base at the source, where it may be a bookmark by now? A redaction bookmark is no base. */
function canGoOn(source: DatasetEntry, target: DatasetEntry | undefined): boolean {
  const newest = target?.snapshots.at(-1)?.guid;
  const bookmarks = source.bookmarks.filter(({ redacted }) => !redacted);
  return [...source.snapshots, ...bookmarks].some(({ guid }) => guid === newest);
}

function stateOf(snapshots: readonly VerifiedSnapshot[], isNamed: boolean, goesOn: boolean): VerifiedDataset['state'] {
  const ours = snapshots.filter(({ source }) => source !== undefined);
  if (ours.length === 0) return isNamed ? 'unnamed' : 'empty';
  if (ours.length === snapshots.length && ours.every(({ state }) => state === 'missing')) return 'missing';
  // of one that was named nothing is known of the others
  if (!isNamed && !goesOn && !ours.some(isCommon)) return 'unrelated';
  if (ours.some(({ state }) => state === 'different')) return 'different';
  if (toSend(snapshots) === 0) return 'equal';
  return goesOn || isNamed ? 'behind' : 'diverged';
}

/** How many of the source's snapshots are newer than what both have. Older ones that the target lacks are its own affair. */
export function toSend(snapshots: readonly VerifiedSnapshot[]): number {
  const ours = snapshots.filter(({ source }) => source !== undefined);
  return ours.length - 1 - ours.findLastIndex(isCommon);
}

/** How many of the source's snapshots the target lacks that are older than what both have. */
export const olderMissing = (snapshots: readonly VerifiedSnapshot[]): number =>
  snapshots.slice(0, snapshots.findLastIndex(isCommon) + 1).filter(({ state }) => state === 'missing').length;

/** A dataset after contents were read; they stand in its snapshots. */
export function withContents(dataset: VerifiedDataset, snapshots: VerifiedSnapshot[]): VerifiedDataset {
  const contents = snapshots.flatMap(({ content }) => (content ? [content.state] : []));
  return { ...dataset, snapshots, state: stateWith(dataset.state, contents) };
}

function stateWith(state: VerifiedDataset['state'], contents: readonly Content['state'][]): VerifiedDataset['state'] {
  if (contents.length === 0) return state;
  if (state === 'different' || contents.includes('different')) return 'different';
  // a snapshot may go at any time; but something has to have been read
  const isRead = contents.includes('equal') && contents.every((each) => each === 'equal' || each === 'gone');
  return isRead ? state : 'unread';
}
