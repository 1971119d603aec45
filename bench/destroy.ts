import { isWithin } from '../schemas/names.ts';
import type { SimHost } from '../test/support/sim-host.ts';

/** A receiver sets its last-received hold some seconds after a receive, so that one may come between a release and the destroy. */
const tries = 5;

/** Destroys a dataset with its snapshots, including those under a last-received hold. */
export async function destroyDataset(host: SimHost, dataset: string): Promise<void> {
  for (let left = tries - 1; ; left--) {
    try {
      return await releaseAndDestroy(host, dataset);
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

async function releaseAndDestroy(host: SimHost, dataset: string): Promise<void> {
  const names = (await host.zfs('list', '-H', '-t', 'all', '-o', 'name')).split('\n');
  const own = names.filter((name) => isWithin(name.split('@')[0] ?? '', dataset));
  if (own.length === 0) return;
  const snapshots = own.filter((name) => name.includes('@'));
  const holds = snapshots.length > 0 ? await host.zfs('holds', '-H', ...snapshots) : '';
  for (const [snapshot, tag] of holds.split('\n').map((line) => line.split('\t'))) {
    if (snapshot && tag) await host.zfs('release', tag, snapshot);
  }
  await host.zfs('destroy', '-r', dataset);
}
