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
 * The tag that a chain of a job holds its step's snapshots with: `zpsend:<job>.<chain>.<hash of the target>`. Each chain has
 * one of its own: two of them may hold the same snapshot at once, a clone's origin that is the other's base, and each releases
 * only what it held. The target is in it since what a killed job held may be the only base of that target, and of no other.
 * @param chain its place in the job's plan
 */
export const holdTag = (job: string, chain: number, target: CursorTarget): string =>
  `zpsend:${job}.${chain}.${targetHash(target)}`;

export interface JobTag {
  readonly job: string;
  /** The `targetHash` of what it sent to. */
  readonly target: string;
}

/** Whose hold it is; undefined for a tag that is not of a job, such as a receiver's `zpsend:base` or a person's `zpsend:keep`. */
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
 * Releases what a step held. A held snapshot cannot be destroyed, so one that is not there under its name was renamed, itself
 * or its dataset, and is found by its guid.
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

/** A dataset whose target has its cursor, or can have none. */
export interface Settled extends Pick<DatasetPlan, 'sourceDataset' | 'targetDataset'> {
  /** The newest snapshot that both were seen to have; what is newer may have arrived since, or be about to. */
  readonly common?: Dated | undefined;
}

/** Whose holds a sweep releases. */
export interface Collection {
  /** The host that receives. */
  readonly targetHost: string;
  readonly source: Inventory;
  readonly settled: readonly Settled[];
  /** Gives a bookmark to what the target may have beyond that. @returns the snapshot, where that could not be done just now */
  readonly markTentative: (step: Pick<Step, 'to' | 'targetDataset'>) => Promise<string | undefined>;
  /** The jobs that run on any instance of this host; their holds stay, and all where nobody can say. */
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** Aborted when nothing more is to be released. */
  readonly signal: AbortSignal;
}

/**
 * Releases what killed jobs left held of a dataset, or of the origin that its first step starts from, for the target that it
 * goes to now. What was held for another target stays, since nobody here knows which of it that one has, and so does what lies
 * in another dataset, which had this target once. Costs nothing where no snapshot has a hold, and one `zfs holds` for those that
 * have (it is superlinear over many snapshots, openzfs#13372).
 */
export async function sweepHolds(
  { zfs, log }: { zfs: Pick<Zfs, 'holds' | 'release'>; log: Log },
  { targetHost, source, settled, markTentative, livingJobs, signal }: Collection,
): Promise<void> {
  const held = [...heldIn(source), ...originsOutside(source)];
  if (held.length === 0) return;
  const origins = new Map(source.datasets.map(({ name, origin }) => [name, origin ? [datasetOf(origin.name)] : []]));
  const placeOf = (dataset: string, hash: string): string => `${hash} ${dataset}`;
  const places = new Map(
    settled.flatMap((one) => {
      const hash = targetHash({ host: targetHost, dataset: one.targetDataset });
      return [one.sourceDataset, ...(origins.get(one.sourceDataset) ?? [])].map(
        (name) => [placeOf(name, hash), one] as const,
      );
    }),
  );
  const holds = (await zfs.holds(held)).flatMap(({ snapshot, tag }) => {
    const of = parseTag(tag);
    const place = of && places.get(placeOf(datasetOf(snapshot), of.target));
    return of && place ? [{ snapshot, tag, job: of.job, place }] : [];
  });
  if (holds.length === 0) return;
  const living = await livingJobs();
  if (!living) {
    log.warn(
      'hold.kept',
      `${holds.length} holds on ${source.host} stay: which of their jobs still run could not be learned`,
    );
    return;
  }
  const entries = new Map(
    source.datasets.flatMap(({ name, snapshots }) => snapshots.map((one) => [`${name}@${one.name}`, one])),
  );
  for (const { snapshot, tag, job, place } of holds) {
    if (signal.aborted) return;
    if (living.has(job)) continue;
    const entry = entries.get(snapshot);
    // an origin cannot go before its clones; what was sent of the dataset itself may arrive yet, its job being dead or not
    const isBase =
      entry && datasetOf(snapshot) === place.sourceDataset && !(place.common && !isAfter(entry, place.common));
    if (
      isBase &&
      (await markTentative({ to: { name: snapshot, guid: entry.guid }, targetDataset: place.targetDataset })) !==
        undefined
    )
      continue;
    try {
      await zfs.release(tag, [snapshot]);
    } catch (thrown) {
      // none of the others goes either
      if (isReadOnly(thrown)) return;
      throw thrown;
    }
    log.warn('hold.stale-released', `released ${tag} on ${snapshot}, which a job that runs no more left behind`);
  }
}

const heldIn = (source: Inventory): string[] =>
  source.datasets.flatMap(({ name, snapshots }) =>
    snapshots.filter((snapshot) => snapshot.userrefs > 0).map((snapshot) => `${name}@${snapshot.name}`),
  );

/** What a clone's first step holds may lie in a dataset that is not listed. */
function originsOutside(source: Inventory): string[] {
  const names = new Set(source.datasets.map(({ name }) => name));
  const origins = source.datasets.flatMap(({ origin }) => (origin?.guid === undefined ? [] : [origin.name]));
  return [...new Set(origins)].filter((origin) => !names.has(datasetOf(origin)));
}
