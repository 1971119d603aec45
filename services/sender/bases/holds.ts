import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { type Dated, isAfter } from '../../../lib/plan/inventory/txg.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, poolOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import { type CursorTarget, targetHash } from './cursor-name.ts';
import { isReadOnly } from './read-only.ts';

/**
 * The tag of a chain's step holds: `zpsend:<job>.<chain>.<hash of the target>`. Two chains may hold the same snapshot at once, as a
 * clone's origin and as a base, so each has its tag. The tag has the target, since a killed job's hold may protect the only
 * base of that target.
 * @param chain its index in the job's plan
 */
export const holdTag = (job: string, chain: number, target: CursorTarget): string =>
  `zpsend:${job}.${chain}.${targetHash(target)}`;

export interface JobTag {
  readonly job: string;
  /** The `targetHash` of its target. */
  readonly target: string;
}

/** The job of a hold; undefined for a tag of another kind, such as a receiver's `zpsend:base` or a person's `zpsend:keep`. */
export function parseTag(tag: string): JobTag | undefined {
  const [, job, target] = /^zpsend:([0-9a-z]{10})\.[0-9]+\.([0-9a-f]{8})$/.exec(tag) ?? [];
  return job !== undefined && target !== undefined ? { job, target } : undefined;
}

/** A snapshot of the source that a step holds. */
export interface Held {
  readonly name: string;
  readonly guid: string;
}

/**
 * Releases a step's holds. A held snapshot cannot be destroyed, so a missing one was renamed, itself or its dataset, and is
 * found by its guid.
 */
export async function releaseStep(zfs: Zfs, tag: string, held: readonly Held[], log: Log): Promise<void> {
  const [first] = held;
  if (!first) return;
  try {
    const { missing } = await zfs.release(
      tag,
      held.map(({ name }) => name),
    );
    if (!missing) return;
    const guids = new Set(held.map(({ guid }) => guid));
    const pool = await zfs.list({ dataset: poolOf(first.name), recursive: true });
    const renamed = pool.flatMap(({ name, snapshots }) =>
      snapshots
        .filter(({ guid, userrefs }) => userrefs > 0 && guids.has(guid))
        .map((snapshot) => `${name}@${snapshot.name}`),
    );
    await zfs.release(tag, renamed);
  } catch (error) {
    log.warn('hold.release-failed', `cannot release ${tag}: ${ZpsendError.from(error).message}; the next run will`);
  }
}

/** A dataset whose cursor exists, or cannot exist. */
export interface Settled extends Pick<DatasetPlan, 'sourceDataset' | 'targetDataset'> {
  /** The newest common snapshot of the listings; a newer one may have arrived since. */
  readonly common?: Dated | undefined;
}

/** Which holds of killed jobs are released. */
export interface Collection {
  readonly targetHost: string;
  readonly source: Inventory;
  readonly settled: readonly Settled[];
  /** Gives a tentative cursor to a snapshot that the target may have. @returns the snapshot, if it has none yet */
  readonly markTentative: (step: Pick<Step, 'to' | 'targetDataset'>) => Promise<string | undefined>;
  /** The jobs that run on any instance of this host, whose holds stay; undefined, and all holds stay, where an instance did not answer. */
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** Aborted with the job: no further hold is released. */
  readonly signal: AbortSignal;
}

/**
 * Releases the holds of killed jobs on a dataset, or on its origin, for its current target. Holds for another target stay, since
 * what that target has is not known here; so do holds on another dataset that once had this target. Costs nothing where no
 * snapshot has a hold, and otherwise one `zfs holds` (it is superlinear over many snapshots, openzfs#13372).
 */
export async function releaseStaleHolds(
  { zfs, log }: { zfs: Pick<Zfs, 'holds' | 'release'>; log: Log },
  { targetHost, source, settled, markTentative, livingJobs, signal }: Collection,
): Promise<void> {
  const held = [...heldIn(source), ...originsOutside(source)];
  if (held.length === 0) return;
  const origins = new Map(source.datasets.map(({ name, origin }) => [name, origin ? [datasetOf(origin.name)] : []]));
  const keyOf = (dataset: string, hash: string): string => `${hash} ${dataset}`;
  const byKey = new Map(
    settled.flatMap((one) => {
      const hash = targetHash({ host: targetHost, dataset: one.targetDataset });
      return [one.sourceDataset, ...(origins.get(one.sourceDataset) ?? [])].map(
        (name) => [keyOf(name, hash), one] as const,
      );
    }),
  );
  const holds = (await zfs.holds(held)).flatMap(({ snapshot, tag }) => {
    const of = parseTag(tag);
    const dataset = of && byKey.get(keyOf(datasetOf(snapshot), of.target));
    return of && dataset ? [{ snapshot, tag, job: of.job, dataset }] : [];
  });
  if (holds.length === 0) return;
  const living = await livingJobs();
  if (!living) {
    log.warn('hold.kept', `${holds.length} holds on ${source.host} stay, since the running jobs are unknown`);
    return;
  }
  const entries = new Map(
    source.datasets.flatMap(({ name, snapshots }) => snapshots.map((one) => [`${name}@${one.name}`, one])),
  );
  for (const { snapshot, tag, job, dataset } of holds) {
    if (signal.aborted) return;
    if (living.has(job)) continue;
    const entry = entries.get(snapshot);
    // an origin cannot be destroyed before its clones; a stream of the dataset itself may still arrive, even of a dead job
    const isBase =
      entry && datasetOf(snapshot) === dataset.sourceDataset && !(dataset.common && !isAfter(entry, dataset.common));
    if (
      isBase &&
      (await markTentative({ to: { name: snapshot, guid: entry.guid }, targetDataset: dataset.targetDataset })) !==
        undefined
    )
      continue;
    try {
      await zfs.release(tag, [snapshot]);
    } catch (thrown) {
      // the others cannot be released either
      if (isReadOnly(thrown)) return;
      throw thrown;
    }
    log.warn('hold.stale-released', `released ${tag} on ${snapshot}, which a dead job had left`);
  }
}

const heldIn = (source: Inventory): string[] =>
  source.datasets.flatMap(({ name, snapshots }) =>
    snapshots.filter((snapshot) => snapshot.userrefs > 0).map((snapshot) => `${name}@${snapshot.name}`),
  );

/** A clone's first step may hold an origin in a dataset that is not listed. */
function originsOutside(source: Inventory): string[] {
  const names = new Set(source.datasets.map(({ name }) => name));
  const origins = source.datasets.flatMap(({ origin }) => (origin?.guid === undefined ? [] : [origin.name]));
  return [...new Set(origins)].filter((origin) => !names.has(datasetOf(origin)));
}
