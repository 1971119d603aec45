import { storeConnection } from '../../lib/bus/channel/store/connection.ts';
import { openStreams, type StreamsBucket } from '../../lib/bus/channel/store/object-bucket.ts';
import type { Bus } from '../../lib/bus/connection/connect.ts';

/** What a source keeps, over a connection that is closed with the bus. */
export const streamsOf = async (bus: Bus, source: string): Promise<StreamsBucket> =>
  openStreams(await storeConnection(bus, 'test (store)').open(), source);
