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

/** The machine of each host name: KV bucket `zfs-hosts`, one key for each host. Its entries do not expire. */

const description = 'zpsend: which machine has which host name';
const unreadable = `the bucket ${hostsBucket} cannot be read`;
/** Another writer was first (10071). */
const isLate = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10071;
/** The time limit of an answer of JetStream, in milliseconds. */
const timeout = 4000;
/** How often a write is retried after another writer was first. */
const mostRivals = 5;

/** Fields that a later release adds are ignored. */
const readSchema = hostRecordSchema.strip();

/** The record in an entry; undefined for a deleted one. */
export function recordIn(entry: Pick<KvEntry, 'operation' | 'json'> | null): HostKey {
  if (entry?.operation !== 'PUT') return undefined;
  try {
    return readSchema.safeParse(entry.json()).data ?? 'unreadable';
  } catch {
    return 'unreadable';
  }
}

/**
 * The record of a host name; undefined if it is not registered, or there is no bucket.
 * @throws ZpsendError UNSUPPORTED if JetStream is off, UNREACHABLE if the bucket cannot be read
 */
export async function readHost(bus: Bus, host: string): Promise<HostKey> {
  const entry = await unlessGone(
    openBucket(bus, hostsBucket).then((kv) => kv.get(host)),
    unreadable,
  );
  return recordIn(entry ?? null);
}

/**
 * All registered host names, also of offline hosts; none if there is no bucket.
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

/** The current entry. @param mayCreate create a missing bucket */
const entryOf = (bus: Bus, host: string, mayCreate: boolean): Promise<KvEntry | null> =>
  putOrCreate(
    bus,
    hostsBucket,
    (kv) => kv.get(host),
    async () => mayCreate && createMissing(bus, hostsBucket, { description }),
  );

/**
 * Writes the record that `decide` returns for the current one. If several writers run at once, one succeeds and the others decide
 * again (compare and set).
 * @param decide returns the record to write, or undefined to keep the current one
 * @param mayCreate create a missing bucket
 * @returns the record after the call
 * @throws ZpsendError from `decide`; UNSUPPORTED if JetStream is off; UNREACHABLE if the bucket cannot be read or written
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
