import type { Bus } from '../../lib/bus/connection/connect.ts';
import { requestInventory } from '../../lib/bus/rpc/inventory-parts.ts';
import type { Peer } from '../../lib/bus/rpc/machine-header.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { SnapshotsRequest } from '../../schemas/host.ts';
import type { Inventory } from '../../schemas/inventory.ts';
import { thisHost } from '../args/this-host.ts';
import type { Cli } from '../context.ts';
import { startPrivate } from './private-sender.ts';

/** What a host has, and the way to the service that listed it. */
export interface HostListing {
  readonly host: string;
  readonly inventory: Inventory;
  /** The machine that has listed it, which is the one that reads it too. */
  readonly peer: Peer;
  /** A subject of this host, or of the one instance that this command runs there. */
  at(subject: string): string;
  close(): Promise<void>;
}

/**
 * Asks a host what it has. Where no service answers, and the host is this one, runs a private sender until the listing is closed.
 * @throws ZpsendError UNREACHABLE, NO_SUCH_DATASET, or what the listing failed with
 */
export async function openListing(cli: Cli, bus: Bus, host: string, what: SnapshotsRequest): Promise<HostListing> {
  const subject = subjects.snapshots(host);
  const peer: Peer = { host };
  try {
    const inventory = await requestInventory(bus, host, what, { peer });
    return { host, inventory, peer, at: (served) => served, close: async () => {} };
  } catch (error) {
    const isNobody = error instanceof ZpsendError && error.code === 'UNREACHABLE' && error.details?.subject === subject;
    if (!isNobody || host !== thisHost(cli.env)) throw error;
  }
  const own = await startPrivate(cli);
  const at = (served: string) => subjects.instance(served, own.instance);
  try {
    const inventory = await requestInventory(bus, host, what, { subject: at(subject), peer });
    return { host, inventory, peer, at, close: own.stop };
  } catch (error) {
    await own.stop();
    throw error;
  }
}
