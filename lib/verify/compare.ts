import type { DatasetEntry, Inventory, SnapshotEntry } from '../../schemas/inventory.ts';
import { isWithin } from '../../schemas/names.ts';
import type { Content, RestrictedSide, VerifiedDataset, VerifiedSnapshot } from '../../schemas/verify.ts';

export interface Comparison {
  /** The dataset on the source, and its name on the target. */
  source: string;
  target: string;
  /** Includes descendants. */
  recursive: boolean;
  /** Is the dataset with this name on the source left out? */
  isLeftOut?: (dataset: string) => boolean;
  /** Compares only this snapshot of each dataset. */
  snapshot?: string;
}

/** Compares the snapshots of a dataset or a tree by guid. Datasets are in order of name; those that only the target has come last. */
export function compare(request: Comparison, source: Inventory, target: Inventory): VerifiedDataset[] {
  const [ours, theirs] = [treeOf(request, source, request.source), treeOf(request, target, request.target)];
  const of = (counterparts: ReadonlyMap<string, DatasetEntry>, below: string) => counterparts.get(below);
  const both = [...ours].map(([below, entry]): VerifiedDataset => {
    const names = { source: entry.name, target: `${request.target}${below}` };
    const counterpart = of(theirs, below);
    if (entry.withheld || counterpart?.withheld) return { ...names, state: 'withheld', snapshots: [] };
    const all = matched(entry.snapshots, counterpart?.snapshots ?? []);
    const snapshots =
      request.snapshot === undefined ? all : all.filter(({ source }) => source?.name === request.snapshot);
    const goesOn = canGoOn(entry, counterpart);
    const newestCommon = snapshots.findLast(isCommon)?.source?.name;
    return {
      ...names,
      state: stateOf(snapshots, request.snapshot !== undefined, goesOn),
      ...(newestCommon !== undefined && { newestCommon, ...(!goesOn && { targetIsAhead: true }) }),
      snapshots,
    };
  });
  const extra = [...theirs]
    .filter(([below]) => !ours.has(below))
    .map(
      ([below, entry]): VerifiedDataset => ({
        source: `${request.source}${below}`,
        target: entry.name,
        state: 'extra',
        snapshots: request.snapshot === undefined ? matched([], entry.snapshots) : [],
      }),
    );
  return [...both, ...extra];
}

/** The sides whose listings withhold some of the compared datasets: a snapshot that is missing there may exist. */
export function restrictedSides(request: Comparison, source: Inventory, target: Inventory): RestrictedSide[] {
  const isRestricted = (listing: Inventory, root: string): boolean =>
    (request.recursive && listing.restricted === true) ||
    [...treeOf(request, listing, root).values()].some(({ withheld }) => withheld);
  return [
    ...(isRestricted(source, request.source)
      ? [{ side: 'source', host: source.host, dataset: request.source } as const]
      : []),
    ...(isRestricted(target, request.target)
      ? [{ side: 'target', host: target.host, dataset: request.target } as const]
      : []),
  ];
}

/** Datasets by their name relative to the root ("" for the root itself). */
function treeOf(request: Comparison, { datasets }: Inventory, root: string): Map<string, DatasetEntry> {
  const { source, recursive, isLeftOut = () => false } = request;
  const within = datasets.filter(({ name }) => name === root || (recursive && isWithin(name, root)));
  const all = within.map((entry): [string, DatasetEntry] => [entry.name.slice(root.length), entry]);
  return new Map(all.filter(([below]) => !isLeftOut(`${source}${below}`)));
}

const nameAndGuid = ({ name, guid }: SnapshotEntry) => ({ name, guid });

/** The source's snapshots in their order, each with its counterpart by guid, or else by name; then those that only the target has. */
function matched(source: readonly SnapshotEntry[], target: readonly SnapshotEntry[]): VerifiedSnapshot[] {
  const byGuid = new Map(target.map((entry) => [entry.guid, entry]));
  const guids = new Set(source.map(({ guid }) => guid));
  // a snapshot with a counterpart by guid is not matched by name
  const byName = new Map(target.filter(({ guid }) => !guids.has(guid)).map((entry) => [entry.name, entry]));
  const rows = source.map((ours): VerifiedSnapshot => {
    const same = byGuid.get(ours.guid);
    const theirs = same ?? byName.get(ours.name);
    if (!theirs) return { state: 'missing', source: nameAndGuid(ours) };
    // a snapshot that was received redacted has the guid, but lacks blocks
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

/** Does the source have a base for the target's newest snapshot, possibly a bookmark? A redaction bookmark is not a base. */
function canGoOn(source: DatasetEntry, target: DatasetEntry | undefined): boolean {
  const newest = target?.snapshots.at(-1)?.guid;
  const bookmarks = source.bookmarks.filter(({ redacted }) => !redacted);
  return [...source.snapshots, ...bookmarks].some(({ guid }) => guid === newest);
}

function stateOf(snapshots: readonly VerifiedSnapshot[], isNamed: boolean, goesOn: boolean): VerifiedDataset['state'] {
  const ours = snapshots.filter(({ source }) => source !== undefined);
  if (ours.length === 0) return isNamed ? 'unnamed' : 'empty';
  if (ours.length === snapshots.length && ours.every(({ state }) => state === 'missing')) return 'missing';
  // with a named snapshot, the others are not compared
  if (!isNamed && !goesOn && !ours.some(isCommon)) return 'unrelated';
  if (ours.some(({ state }) => state === 'different')) return 'different';
  if (toSend(snapshots) === 0) return 'equal';
  return goesOn || isNamed ? 'behind' : 'diverged';
}

/** The number of the source's snapshots that are newer than the newest common one. */
export function toSend(snapshots: readonly VerifiedSnapshot[]): number {
  const ours = snapshots.filter(({ source }) => source !== undefined);
  return ours.length - 1 - ours.findLastIndex(isCommon);
}

/** The number of the source's snapshots that the target lacks and that are older than the newest common one. */
export const olderMissing = (snapshots: readonly VerifiedSnapshot[]): number =>
  snapshots.slice(0, snapshots.findLastIndex(isCommon) + 1).filter(({ state }) => state === 'missing').length;

/** The dataset with its state after the contents of its snapshots were read. */
export function withContents(dataset: VerifiedDataset, snapshots: VerifiedSnapshot[]): VerifiedDataset {
  const contents = snapshots.flatMap(({ content }) => (content ? [content.state] : []));
  return { ...dataset, snapshots, state: stateWith(dataset.state, contents) };
}

function stateWith(state: VerifiedDataset['state'], contents: readonly Content['state'][]): VerifiedDataset['state'] {
  if (contents.length === 0) return state;
  if (state === 'different' || contents.includes('different')) return 'different';
  // a snapshot may be destroyed at any time, but at least one has to have been read
  const isRead = contents.includes('equal') && contents.every((each) => each === 'equal' || each === 'gone');
  return isRead ? state : 'unread';
}
