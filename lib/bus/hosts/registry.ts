import { JetStreamApiError } from '@nats-io/jetstream';
import type { KvEntry } from '@nats-io/kv';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type HostRecord, hostRecordSchema } from '../../../schemas/machine.ts';
import { hostSchema } from '../../../schemas/names.ts';
import type { Bus } from '../connection/connect.ts';
import { managerOf } from '../jetstream/jetstream.ts';
import { bucketError, openBucket, unlessGone } from '../jetstream/kv-bucket.ts';
import { createMissing, putOrCreate } from '../jetstream/put-or-create.ts';
import { hostsBucket, keySubject, parseKeySubject } from '../subjects.ts';
import type { HostKey } from './claim.ts';

/** Which machine has which host name: KV bucket `zfs-hosts`, one key for each host. Its entries have no end. */

const description = 'zpsend: which machine has which host name';
const unreadable = `the bucket ${hostsBucket} cannot be read`;
/** Another writer came first (10071). */
const isLate = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10071;
/** How long JetStream may take to answer, in milliseconds. */
const timeout = 4000;
/** Writers that may come first, one after the other. */
const mostRivals = 5;

/** A later release may say more of a host; that is still its machine. */
const readSchema = hostRecordSchema.strip();

/** What an entry holds; undefined for a deleted one. */
export function recordIn(entry: Pick<KvEntry, 'operation' | 'json'> | null): HostKey {
  if (entry?.operation !== 'PUT') return undefined;
  try {
    return readSchema.safeParse(entry.json()).data ?? 'unreadable';
  } catch {
    return 'unreadable';
  }
}

/**
 * Who has the host name; undefined where nobody does, or there is no bucket.
 * @throws ZpsendError UNSUPPORTED when JetStream is off, UNREACHABLE when the bucket cannot be read
 */
export async function readHost(bus: Bus, host: string): Promise<HostKey> {
  const entry = await unlessGone(
    openBucket(bus, hostsBucket).then((kv) => kv.get(host)),
    unreadable,
  );
  return recordIn(entry ?? null);
}

/**
 * Every host name that was registered, also of hosts that are away; none where there is no bucket.
 * @throws ZpsendError as readHost
 */
export async function registeredHosts(bus: Bus): Promise<string[]> {
  const names = async (): Promise<string[]> => {
    const manager = await managerOf(bus, timeout);
    const { state } = await manager.streams.info(`KV_${hostsBucket}`, {
      subjects_filter: keySubject(hostsBucket, '*'),
    });
    return Object.keys(state.subjects ?? {});
  };
  const subjects = (await unlessGone(names(), unreadable)) ?? [];
  return subjects.flatMap((subject) => hostSchema.safeParse(parseKeySubject(hostsBucket, subject)).data ?? []);
}

/** The entry now; the bucket is created where there is none. */
const entryOf = (bus: Bus, host: string, mayCreate: boolean): Promise<KvEntry | null> =>
  putOrCreate(
    bus,
    hostsBucket,
    (kv) => kv.get(host),
    async () => mayCreate && createMissing(bus, hostsBucket, { description }),
  );

/**
 * Writes a record for the host name if `decide` says so of the one that is there. Of several writers at the same moment one
 * succeeds, and the others decide again (compare and set).
 * @param decide gives the record to write, or undefined to leave what is there
 * @param mayCreate create the bucket where there is none
 * @returns what is there in the end
 * @throws ZpsendError what `decide` throws; UNSUPPORTED when JetStream is off; UNREACHABLE when the bucket cannot be had
 */
export async function writeHost(
  bus: Bus,
  host: string,
  decide: (before: HostKey) => HostRecord | undefined,
  mayCreate = true,
): Promise<HostKey> {
  for (let rivals = 0; ; rivals += 1) {
    try {
      const entry = await entryOf(bus, host, mayCreate);
      const before = recordIn(entry);
      const after = decide(before);
      if (!after) return before;
      const kv = await openBucket(bus, hostsBucket);
      await kv.put(host, JSON.stringify(after), { previousSeq: entry?.revision ?? 0 });
      return after;
    } catch (error) {
      if (isLate(error) && rivals < mostRivals) continue;
      if (error instanceof ZpsendError) throw error;
      throw bucketError(error, `the host name ${host} cannot be registered in the bucket ${hostsBucket}`);
    }
  }
}
