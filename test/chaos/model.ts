import { isCursor, parseCursor } from '../../lib/plan/cursor-name.ts';
import type { Listing, Snapshot } from '../support/listing.ts';

/** What each target has to have by now. */
export interface Model {
  /** What the source has of these datasets now was sent there, or will have been. */
  sent(target: string, source: Listing, datasets: readonly string[]): void;
  /** Complaints about what a target has: it is to have just what was sent to it. */
  differences(target: string, now: Listing): string[];
  /** The newest snapshot of a dataset that a target has to have. */
  newest(target: string, dataset: string): Snapshot | undefined;
}

export function openModel(): Model {
  /** By target, by guid. */
  const expected = new Map<string, Map<string, Snapshot>>();
  const of = (target: string): Map<string, Snapshot> => expected.get(target) ?? new Map();
  return {
    sent(target, { snapshots }, datasets) {
      const all = new Map(of(target));
      for (const one of snapshots) if (datasets.includes(one.dataset)) all.set(one.guid, one);
      expected.set(target, all);
    },
    differences(target, { snapshots }) {
      const there = new Map(snapshots.map((one) => [one.guid, one.name]));
      const wanted = of(target);
      return [
        ...[...wanted.values()].flatMap(({ guid, name }) =>
          there.get(guid) === name ? [] : [`${target} lacks ${name} (${guid})`],
        ),
        ...[...there].flatMap(([guid, name]) =>
          wanted.get(guid)?.name === name ? [] : [`${target} has ${name} (${guid}), which was not sent there`],
        ),
      ];
    },
    newest: (target, dataset) => [...of(target).values()].findLast((one) => one.dataset === dataset),
  };
}

export interface Bookmark {
  /** In full: `pool/a#x`. */
  readonly name: string;
  readonly guid: string;
}

/** What a round leaves behind, in words; holds are `snapshot tag`. */
export interface Left {
  readonly sourceHolds: readonly string[];
  /** By target. */
  readonly targetHolds: ReadonlyMap<string, readonly string[]>;
  readonly bookmarks: readonly Bookmark[];
  readonly locks: readonly string[];
  /** Objects in the store of the source, but for what it remembers of its targets. */
  readonly stored: readonly string[];
}

/** Complaints about what is left once all is done; the last-received holds of a target and its cursors are to stay. */
export const staleMarks = ({ sourceHolds, targetHolds, bookmarks, locks, stored }: Left): string[] => [
  ...locks.map((lock) => `a lock is left: ${lock}`),
  ...stored.map((name) => `the store still has ${name}`),
  ...sourceHolds.map((hold) => `a hold is left on the source: ${hold}`),
  ...[...targetHolds].flatMap(([target, holds]) =>
    holds.flatMap((hold) => (hold.endsWith(' zpsend:base') ? [] : [`a hold is left on ${target}: ${hold}`])),
  ),
  ...bookmarks.flatMap(({ name, guid }) =>
    isCursor({ name: name.slice(name.indexOf('#') + 1), guid }) ? [] : [`a bookmark that is no cursor: ${name}`],
  ),
];

/** The same after a round without a fault: stale marks of an earlier fault are repaired by then. */
export function notRepaired(
  left: Left,
  model: Model,
  targets: readonly string[],
  datasets: readonly string[],
): string[] {
  const bases = targets.flatMap((target) => {
    const holds = left.targetHolds.get(target) ?? [];
    const wanted = datasets
      .flatMap((dataset) => model.newest(target, dataset)?.name ?? [])
      .map((name) => `${name} zpsend:base`);
    return differing(`base holds on ${target}`, holds, wanted);
  });
  const cursors = datasets.flatMap((dataset) => {
    const marks = left.bookmarks.filter(({ name }) => name.startsWith(`${dataset}#`));
    const guids = marks.map(({ name }) => parseCursor(name.slice(dataset.length + 1))?.guid ?? name);
    const wanted = targets.map((target) => model.newest(target, dataset)?.guid ?? '');
    return differing(`cursors on ${dataset}`, guids, wanted);
  });
  return [...bases, ...cursors];
}

function differing(what: string, there: readonly string[], wanted: readonly string[]): string[] {
  const [is, should] = [there, wanted].map((list) => list.toSorted().join(', '));
  return is === should ? [] : [`${what}: ${is || 'none'}; there should be ${should || 'none'}`];
}
