import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { SnapshotsRequest } from '../../../schemas/host.ts';
import { type HostListing, openListing } from '../../client/host-listing.ts';
import type { Cli } from '../../context.ts';

/** One of two hosts that are compared: what it has, and the way to who said so. */
export type Side = Omit<HostListing, 'close'>;

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
  const open = ({ host, what }: Place): Promise<HostListing> => openListing(cli, bus, host, what);
  const source = await open(places.source);
  try {
    const target = await open(places.target).catch((error) => {
      if (error instanceof ZpsendError && error.code === 'NO_SUCH_DATASET') return withNothing(places.target.host);
      throw error;
    });
    return await use({ source, target }).finally(target.close);
  } finally {
    await source.close();
  }
}

const withNothing = (host: string): HostListing => ({
  host,
  inventory: { host, datasets: [] },
  peer: { host },
  at: (subject) => subject,
  close: async () => {},
});
