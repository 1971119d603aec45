import { requestMany } from '../lib/bus/rpc/request.ts';
import { subjects } from '../lib/bus/subjects.ts';
import { listingPartSchema } from '../schemas/inventory.ts';
import { watch } from './processes.ts';
import { startServices, type World } from './world.ts';

/** A long list of snapshots over the bus. */
export interface ListingRow {
  readonly snapshots: number;
  readonly seconds: number;
  /** Peak memory of the listing service, in MB. */
  readonly rss: number;
}

export async function measureListing(world: World, count: number): Promise<ListingRow> {
  const { source, plain } = world;
  const dataset = 'tank/many';
  await source.zfs('create', dataset);
  await source.zfs('zfs-sim-fill', dataset, `${count}`, '0');
  const services = await startServices(world, plain);
  const usages = watch({ sender: () => [services.sender] });
  try {
    const began = performance.now();
    const parts = await requestMany(services.bus, subjects.snapshots(source.name), { dataset }, listingPartSchema);
    const seconds = (performance.now() - began) / 1000;
    const snapshots = parts.flatMap((part) => part.datasets).reduce((sum, { snapshots }) => sum + snapshots.length, 0);
    if (snapshots !== count) throw new Error(`${snapshots} of ${count} snapshots came`);
    return { snapshots, seconds, rss: (usages().sender?.rss ?? 0) / 1e6 };
  } finally {
    await services.stop();
    await source.zfs('destroy', '-r', dataset);
  }
}
