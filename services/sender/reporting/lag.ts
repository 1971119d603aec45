import { type Base, basesOf, newestCommon } from '../../../lib/plan/inventory/bases.ts';
import { isAfter } from '../../../lib/plan/inventory/txg.ts';
import type { DatasetEntry, KeyWrapping, SnapshotEntry } from '../../../schemas/inventory.ts';
import type { StatusSnapshot } from '../../../schemas/status.ts';

/** The facts of one dataset and its target in a listing. */
export interface LagFacts {
  /** The newest that the target has. */
  readonly sent: StatusSnapshot | undefined;
  readonly newest: StatusSnapshot | undefined;
  /** The initial flags of the chain on the target. */
  readonly stream?: string | undefined;
  /** The wrapping of the target dataset's key. */
  readonly wrapping?: KeyWrapping | undefined;
  /** The same once a step of the running job has arrived. */
  readonly nextWrapping?: KeyWrapping | undefined;
  /** The newest after `sent` that is stored for the target. */
  readonly stored?: StatusSnapshot | undefined;
  /** The source's snapshots after `sent`, oldest first. */
  readonly missing: readonly SnapshotEntry[];
  /** When it was listed, in milliseconds since the epoch of the source's clock. */
  readonly listed: number;
}

export const snapshotOf = ({ name, guid, creation }: StatusSnapshot): StatusSnapshot => ({
  name,
  guid,
  ...(creation !== undefined && { creation }),
});

/** @param sent a snapshot or bookmark of the source whose snapshot the target has */
function behind(
  { snapshots }: DatasetEntry,
  sent: (StatusSnapshot & Pick<Base, 'createtxg'>) | undefined,
  listed: number,
): LagFacts {
  const newest = snapshots.at(-1);
  return {
    sent: sent && snapshotOf(sent),
    newest: newest && snapshotOf(newest),
    missing: sent ? snapshots.filter((entry) => isAfter(entry, sent)) : snapshots,
    listed,
  };
}

const creationOf = ({ snapshots, bookmarks }: DatasetEntry, base: Base): number | undefined =>
  (base.kind === 'snapshot' ? snapshots : bookmarks).find(({ guid }) => guid === base.guid)?.creation;

/** @param target undefined if there is no such dataset; @param listed milliseconds since the epoch */
export function lagFacts(source: DatasetEntry, target: DatasetEntry | undefined, listed: number): LagFacts {
  const common = target && newestCommon(source, target);
  const creation = common && creationOf(source, common);
  return behind(source, common && { ...common, ...(creation !== undefined && { creation }) }, listed);
}

/** The same if the target was not listed, and has its earlier snapshots. */
export function lagFactsSince(source: DatasetEntry, sent: StatusSnapshot | undefined, listed: number): LagFacts {
  const base = sent && basesOf(source).find(({ guid }) => guid === sent.guid);
  if (!sent || base) return behind(source, base && { ...base, ...sent }, listed);
  // it is destroyed here without a bookmark: only its creation shows which snapshots are newer
  const made = sent.creation ?? 0;
  const facts = behind(source, undefined, listed);
  return { ...facts, sent, missing: facts.missing.filter(({ creation = made }) => creation > made) };
}

/** The snapshots that the target lacks. A seed is as large as its first snapshot. */
export function lagOf({ sent, newest, missing }: LagFacts): { snapshots: number; bytes: number; seconds?: number } {
  const bytes = missing.reduce((sum, { written }) => sum + written, 0);
  const [first] = missing;
  const seed = first && !sent ? first.referenced - first.written : 0;
  const [from, to] = [sent?.creation, newest?.creation];
  return {
    snapshots: missing.length,
    bytes: Math.max(0, bytes + seed),
    // a clock may have been set back between the two
    ...(from !== undefined && to !== undefined && { seconds: Math.max(0, to - from) }),
  };
}

/** With the newest stored snapshot. One that is not in the listing, or that the target has, changes nothing. */
export function storedUpTo(facts: LagFacts, guid: string | undefined): LagFacts {
  const stored = facts.missing.find((entry) => entry.guid === guid);
  return stored ? { ...facts, stored: snapshotOf(stored) } : facts;
}

/** After a snapshot has arrived. One that is not in the listing changes nothing. */
export function arrivedAt(facts: LagFacts, guid: string): LagFacts {
  const at = facts.missing.findIndex((entry) => entry.guid === guid);
  const arrived = facts.missing[at];
  if (!arrived) return facts;
  const { stored, ...others } = facts;
  const after = { sent: snapshotOf(arrived), missing: facts.missing.slice(at + 1), wrapping: facts.nextWrapping };
  return storedUpTo({ ...others, ...after }, stored?.guid);
}
