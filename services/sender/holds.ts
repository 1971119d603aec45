import type { Zfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Inventory } from '../../schemas/inventory.ts';
import { datasetOf, poolOf } from '../../schemas/names.ts';
import type { Log } from '../host/log.ts';

/**
 * The tag that a chain of a job holds its step's snapshots with. Each chain has one of its own: two of them may hold the
 * same snapshot at once, a clone's origin that is the other's base, and each releases only what it held.
 * @param chain its place in the job's plan
 */
export const holdTag = (job: string, chain: number): string => `zpsend:${job}${chain === 0 ? '' : `.${chain}`}`;

/** Whose hold it is, whichever of its chains held; undefined for a tag that is not of a job, such as a receiver's `zpsend:base` or a person's `zpsend:keep`. */
export const jobOfTag = (tag: string): string | undefined => /^zpsend:([0-9a-z]{10})(?:\.[0-9]+)?$/.exec(tag)?.[1];

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
    log.warn(`cannot release ${tag}: ${ZpsendError.from(error).message}; the next run will`);
  }
}

/**
 * Releases what a killed job left held on the source. Costs nothing where no snapshot has a hold, and one `zfs holds`
 * for those that have (it is superlinear over many snapshots, openzfs#13372).
 * @param livingJobs the jobs that run on any instance of this host; their holds stay, and all where nobody can say
 */
export async function sweepHolds(
  zfs: Zfs,
  source: Inventory,
  livingJobs: () => Promise<Set<string> | undefined>,
  log: Log,
): Promise<void> {
  const held = [...heldIn(source), ...originsOutside(source)];
  if (held.length === 0) return;
  const holds = (await zfs.holds(held)).filter(({ tag }) => jobOfTag(tag) !== undefined);
  if (holds.length === 0) return;
  const living = await livingJobs();
  if (!living) {
    log.warn(`${holds.length} holds on ${source.host} stay: which of their jobs still run could not be learned`);
    return;
  }
  for (const { snapshot, tag } of holds) {
    if (living.has(jobOfTag(tag) ?? '')) continue;
    log.warn(`releasing ${tag} on ${snapshot}, which a job that runs no more left behind`);
    await zfs.release(tag, [snapshot]);
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
