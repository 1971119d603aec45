import type { Bus } from '../lib/bus/connect.ts';
import { requestInventory } from '../lib/bus/listing.ts';
import { subjects } from '../lib/bus/subjects.ts';
import { ZpsendError } from '../schemas/errors.ts';
import type { SnapshotsRequest } from '../schemas/host.ts';
import type { Inventory } from '../schemas/inventory.ts';
import type { Cli } from './cli.ts';
import { startPrivate } from './private-sender.ts';
import { thisHost } from './this-host.ts';

/** One of two hosts that are compared: what it has, and the way to who said so. */
export interface Side {
  readonly host: string;
  readonly inventory: Inventory;
  /** A subject of this host, or of the one instance that this command runs there. */
  at(subject: string): string;
  close(): Promise<void>;
}

/**
 * Asks a host what it has. Where no service answers, and it is this one, runs a private sender until it is closed.
 * @throws ZpsendError UNREACHABLE, NO_SUCH_DATASET, or what the listing failed with
 */
export async function openSide(cli: Cli, bus: Bus, host: string, what: SnapshotsRequest): Promise<Side> {
  const subject = subjects.snapshots(host);
  try {
    const inventory = await requestInventory(bus, host, what);
    return { host, inventory, at: (served) => served, close: async () => {} };
  } catch (error) {
    const isNobody = error instanceof ZpsendError && error.code === 'UNREACHABLE' && error.details?.subject === subject;
    if (!isNobody || host !== thisHost(cli.env)) throw error;
  }
  const own = await startPrivate(cli);
  const at = (served: string) => subjects.instance(served, own.instance);
  try {
    return { host, inventory: await requestInventory(bus, host, what, at(subject)), at, close: own.stop };
  } catch (error) {
    await own.stop();
    throw error;
  }
}
