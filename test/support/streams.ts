import type { Bus } from '../../lib/bus/connection/connect.ts';
import { openStreams, type StreamsBucket } from '../../lib/bus/store/bucket.ts';
import { storeConnection } from '../../lib/bus/store/connection.ts';

/** What a source keeps, over a connection that is closed with the bus. */
export const streamsOf = async (bus: Bus, source: string): Promise<StreamsBucket> =>
  openStreams(await storeConnection(bus, 'test (store)').open(), source);
