import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { SnapshotsRequest } from '../../../schemas/host.ts';
import { type HostListing, openListing } from '../../client/host-listing.ts';
import type { Cli } from '../../context.ts';

/** One of the two hosts that are compared. */
export type Side = Omit<HostListing, 'close'>;

interface Location {
  readonly host: string;
  readonly what: SnapshotsRequest;
}

/**
 * Lists both hosts. A target without the dataset has an empty listing.
 * @throws ZpsendError UNREACHABLE, NO_SUCH_DATASET for the source, or another error of a listing
 */
export async function withSides<T>(
  cli: Cli,
  bus: Bus,
  locations: { source: Location; target: Location },
  use: (sides: { source: Side; target: Side }) => Promise<T>,
): Promise<T> {
  const open = ({ host, what }: Location): Promise<HostListing> => openListing(cli, bus, host, what);
  const source = await open(locations.source);
  try {
    const target = await open(locations.target).catch((error) => {
      if (error instanceof ZpsendError && error.code === 'NO_SUCH_DATASET') return emptyListing(locations.target.host);
      throw error;
    });
    return await use({ source, target }).finally(target.close);
  } finally {
    await source.close();
  }
}

const emptyListing = (host: string): HostListing => ({
  host,
  inventory: { host, datasets: [] },
  peer: { host },
  at: (subject) => subject,
  close: async () => {},
});
