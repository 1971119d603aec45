import { bucketBoundsSchema } from '../../../schemas/fleet.ts';
import type { Bus } from '../connection/connect.ts';
import { managerOf } from '../jetstream/jetstream.ts';
import { streamsBucket } from '../subjects.ts';
import { wantedStreams } from './wanted.ts';

const timeout = 4000;
/** Streams that are looked at, at most. */
const mostStreams = 256;

const fixed = new Map(
  wantedStreams(bucketBoundsSchema.parse({}), [], 1).map(({ called, config }) => [config.name, called]),
);
const storePrefix = `OBJ_${streamsBucket('')}`;

const calledOf = (stream: string): string | undefined =>
  fixed.get(stream) ?? (stream.startsWith(storePrefix) ? stream.replace(/^OBJ_/, '') : undefined);

/**
 * Those of zpsend's buckets and streams that may grow without end, or whose entries may.
 * @throws JetStreamApiError, or what the connection fails with
 */
export async function boundless(bus: Bus): Promise<string[]> {
  const manager = await managerOf(bus, timeout);
  const found: string[] = [];
  let looked = 0;
  for await (const name of manager.streams.names()) {
    const called = calledOf(name);
    if (called === undefined) continue;
    looked += 1;
    if (looked > mostStreams) break;
    const { config } = await manager.streams.info(name);
    const hasValues = !name.startsWith('OBJ_');
    if (config.max_bytes <= 0 || (hasValues && (config.max_msg_size ?? -1) <= 0)) found.push(called);
  }
  return found.sort();
}
