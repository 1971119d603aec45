import type { DatasetEntry, SnapshotEntry } from '../../../schemas/inventory.ts';
import type { SendRequest } from '../../../schemas/request.ts';
import { type Base, basesOf } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';
import { type Refusal, refuse, someOf } from '../refusal.ts';
import type { JobContext } from './job-context.ts';
import { matches } from './pattern.ts';

/** The snapshots of one dataset that a request asks for. */
export type Wanted =
  /**
   * These snapshots, oldest first, as one chain of single steps. `goal` is the last of them: a target that has it needs nothing,
   * even if it has other snapshots.
   */
  | { kind: 'chain'; snapshots: SnapshotEntry[]; goal?: SnapshotEntry }
  /** Exactly this incremental. */
  | { kind: 'incremental'; from: Base; to: SnapshotEntry }
  /** Exactly this full stream. */
  | { kind: 'full'; to: SnapshotEntry };

/** The wanted snapshots of a request for one dataset; `dataset` is the source's, with its snapshots oldest first. */
export function wantedOf(context: JobContext, dataset: DatasetEntry): Wanted | Refusal {
  const { sourceHost: host, snapshot: leaf, request } = context;
  const { from, full } = request;
  if (dataset.snapshots.length === 0) return nothingToSend(host, dataset);
  const to = dataset.snapshots.find((entry) => entry.name === leaf);
  if (leaf !== undefined && to === undefined) return noSuchSnapshot(host, dataset, `@${leaf}`);
  if (to && full) return { kind: 'full', to };
  if (to && from !== undefined) return incremental(host, dataset, from, to);
  const chain = chainOf(request, dataset, to, none);
  return chain.snapshots.length > 0 ? chain : nothingMatches(host, dataset, request.snapshots ?? []);
}

const none: ReadonlySet<string> = new Set();

/**
 * The snapshots of a chain, up to the goal: always the goal and the origins of clones. Of the others, a replication has those that
 * match a pattern (without patterns, all), and a recursive package has none.
 * @param origins names of this dataset's snapshots that are origins of clones in the package
 */
export function chainOf(
  request: Pick<SendRequest, 'package' | 'snapshots'>,
  { snapshots }: DatasetEntry,
  goal: SnapshotEntry | undefined,
  origins: ReadonlySet<string>,
): Extract<Wanted, { kind: 'chain' }> {
  const patterns = request.snapshots ?? [];
  const isPicked = (name: string): boolean =>
    request.package !== 'recursive' && (patterns.length === 0 || patterns.some((pattern) => matches(pattern, name)));
  const upToGoal = goal === undefined ? snapshots : snapshots.slice(0, snapshots.indexOf(goal) + 1);
  const picked = upToGoal.filter((entry) => entry === goal || origins.has(entry.name) || isPicked(entry.name));
  return { kind: 'chain', snapshots: picked, ...(goal && { goal }) };
}

function incremental(host: string, dataset: DatasetEntry, from: string, to: SnapshotEntry): Wanted | Refusal {
  const kind = from.startsWith('#') ? 'bookmark' : 'snapshot';
  const redaction = dataset.bookmarks.find(({ name, redacted }) => redacted && `#${name}` === from);
  if (redaction) return redactionBookmark(host, dataset, redaction.name);
  const base = basesOf(dataset).find((entry) => entry.kind === kind && entry.name === from.slice(1));
  if (base === undefined) return noSuchSnapshot(host, dataset, from);
  if (!isAfter(to, base)) {
    return refuse(
      'BAD_REQUEST',
      `${dataset.name}${from} on ${host} is not older than @${to.name}: name an older base.`,
    );
  }
  return { kind: 'incremental', from: base, to };
}

export function noSuchSnapshot(host: string, { name, snapshots, bookmarks }: DatasetEntry, leaf: string): Refusal {
  const isBookmark = leaf.startsWith('#');
  const newest = (isBookmark ? bookmarks : snapshots).map((entry) => entry.name);
  const sigil = isBookmark ? '#' : '@';
  const twin = !isBookmark && bookmarks.some((entry) => entry.name === leaf.slice(1));
  return refuse(
    'NO_SUCH_SNAPSHOT',
    `${name} on ${host} has no ${isBookmark ? 'bookmark' : 'snapshot'} ${leaf}. It has: ${someOf(newest, sigil)}.` +
      (twin ? ` It has a bookmark #${leaf.slice(1)}, which can be the base of an increment.` : ''),
    { details: { host, dataset: name, newest: newest.slice(-5) } },
  );
}

const redactionBookmark = (host: string, { name }: DatasetEntry, bookmark: string): Refusal =>
  refuse(
    'UNSUPPORTED',
    `${name}#${bookmark} on ${host} is a redaction bookmark, which cannot be a base (openzfs#18491). ` +
      `To fix: make an ordinary bookmark of the same snapshot with ${ordinaryBookmark(name, bookmark)}, and send with -i #NAME.`,
    { details: { host, dataset: name } },
  );

/** A bookmark of a redaction bookmark is an ordinary bookmark (contract/bookmarks.test.ts). */
export const ordinaryBookmark = (dataset: string, redaction: string): string =>
  `zfs bookmark ${dataset}#${redaction} ${dataset}#NAME`;

/** Was the dataset created by an interrupted receive? ZFS makes no snapshot of it until that receive ends. */
export const isPartlyReceived = ({ snapshots, resumeToken }: DatasetEntry): boolean =>
  snapshots.length === 0 && resumeToken !== undefined;

export const partlyReceived = 'its first snapshot is only partly received';

function nothingToSend(host: string, dataset: DatasetEntry): Refusal {
  const { name } = dataset;
  const isPartial = isPartlyReceived(dataset);
  const fix = isPartial ? `: ${partlyReceived}. Finish that receive first` : `. To make one: zfs snapshot ${name}@NAME`;
  return refuse('NO_SUCH_SNAPSHOT', `${name} on ${host} has no snapshots${fix}`, {
    details: { host, dataset: name, newest: [], ...(isPartial && { partial: true }) },
  });
}

const nothingMatches = (host: string, { name, snapshots }: DatasetEntry, patterns: readonly string[]): Refusal => {
  const newest = snapshots.map((entry) => entry.name);
  return refuse(
    'NO_SUCH_SNAPSHOT',
    `No snapshot of ${name} on ${host} matches ${patterns.join(', ')}. It has: ${someOf(newest)}.`,
    { details: { host, dataset: name, newest: newest.slice(-5) } },
  );
};
