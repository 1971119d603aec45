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

/** The listing of a host, and how to reach the service that made it. */
export interface HostListing {
  readonly host: string;
  readonly inventory: Inventory;
  /** The machine that made the listing: only that one may read the snapshots. */
  readonly peer: Peer;
  /** The subject of the host, or of the private sender that this command runs. */
  at(subject: string): string;
  close(): Promise<void>;
}

/**
 * Lists a host. If no service answers for this host, runs a private sender until `close`.
 * @throws ZpsendError UNREACHABLE, NO_SUCH_DATASET, or another error of the listing
 */
export async function openListing(cli: Cli, bus: Bus, host: string, what: SnapshotsRequest): Promise<HostListing> {
  const subject = subjects.snapshots(host);
  const peer: Peer = { host };
  try {
    const inventory = await requestInventory(bus, host, what, { peer });
    return { host, inventory, peer, at: (hostSubject) => hostSubject, close: async () => {} };
  } catch (error) {
    const isUnanswered =
      error instanceof ZpsendError && error.code === 'UNREACHABLE' && error.details?.subject === subject;
    if (!isUnanswered || host !== thisHost(cli.env)) throw error;
  }
  const own = await startPrivate(cli);
  const at = (hostSubject: string) => subjects.instance(hostSubject, own.instance);
  try {
    const inventory = await requestInventory(bus, host, what, { subject: at(subject), peer });
    return { host, inventory, peer, at, close: own.stop };
  } catch (error) {
    await own.stop();
    throw error;
  }
}
