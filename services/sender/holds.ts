import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Inventory } from '../../schemas/inventory.ts';
import type { Log } from '../host/log.ts';

const ours = /^zpsend:(.+)$/;

/**
 * Releases what a killed job left held on the source. Costs nothing where no snapshot has a hold, and one `zfs holds`
 * for those that have (it is superlinear over many snapshots, openzfs#13372).
 * @param livingJobs the jobs that run on any instance of this host; their holds stay
 */
export async function sweepHolds(
  zfs: Zfs,
  source: Inventory,
  livingJobs: () => Promise<Set<string>>,
  log: Log,
): Promise<void> {
  const held = source.datasets.flatMap(({ name, snapshots }) =>
    snapshots.filter((snapshot) => snapshot.userrefs > 0).map((snapshot) => `${name}@${snapshot.name}`),
  );
  if (held.length === 0) return;
  const holds = (await zfs.holds(held)).filter(({ tag }) => ours.test(tag));
  if (holds.length === 0) return;
  const living = await livingJobs();
  for (const { snapshot, tag } of holds) {
    const job = ours.exec(tag)?.[1] ?? '';
    if (living.has(job)) continue;
    log.warn(`releasing ${tag} on ${snapshot}, which a job that runs no more left behind`);
    await zfs.release(tag, [snapshot]);
  }
}
