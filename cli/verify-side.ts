import type { Bus } from '../lib/bus/connect.ts';
import { requestInventory } from '../lib/bus/listing.ts';
import type { Peer } from '../lib/bus/machine-header.ts';
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
  /** The machine that has listed it, which is the one that reads it too. */
  readonly peer: Peer;
  /** A subject of this host, or of the one instance that this command runs there. */
  at(subject: string): string;
}

interface OpenSide extends Side {
  close(): Promise<void>;
}

interface Place {
  readonly host: string;
  readonly what: SnapshotsRequest;
}

/**
 * Asks both hosts what they have. A target that lacks the dataset has nothing of it, which is for the comparison to say.
 * @throws ZpsendError UNREACHABLE, NO_SUCH_DATASET for the source, or what a listing failed with
 */
export async function withSides<T>(
  cli: Cli,
  bus: Bus,
  places: { source: Place; target: Place },
  use: (sides: { source: Side; target: Side }) => Promise<T>,
): Promise<T> {
  const source = await openSide(cli, bus, places.source);
  try {
    const target = await openSide(cli, bus, places.target).catch((error) => {
      if (error instanceof ZpsendError && error.code === 'NO_SUCH_DATASET') return withNothing(places.target.host);
      throw error;
    });
    return await use({ source, target }).finally(target.close);
  } finally {
    await source.close();
  }
}

const withNothing = (host: string): OpenSide => ({
  host,
  inventory: { host, datasets: [] },
  peer: { host },
  at: (subject) => subject,
  close: async () => {},
});

/** Where no service answers, and the host is this one, runs a private sender until it is closed. */
async function openSide(cli: Cli, bus: Bus, { host, what }: Place): Promise<OpenSide> {
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
