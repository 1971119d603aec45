import { JetStreamApiError } from '@nats-io/jetstream';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { Bus } from '../connection/connect.ts';
import { bucketError, isGone, makeBucket, openBucket, stateOf } from '../jetstream/kv-bucket.ts';
import { type StatusPlace, statusBucket, statusDescription, statusKey } from '../subjects.ts';

/** Where a sender writes what its replication looks like: KV bucket `zfs-status`. */
export interface StatusStore {
  /**
   * Writes one entry. The bucket is made where there is none: for the first time, or because it was lost.
   * @throws ZpsendError UNSUPPORTED when JetStream is off; UNREACHABLE when the entry could not be written
   */
  put(key: string, entry: StatusEntry): Promise<void>;
  /**
   * Writes one entry over that of a revision, and no newer one.
   * @returns false where another was written since, or it was deleted
   * @throws ZpsendError UNREACHABLE when the entry could not be written
   */
  replace(key: string, entry: StatusEntry, revision: number): Promise<boolean>;
}

export function openStatusStore(bus: Bus): StatusStore {
  let making: Promise<boolean> | undefined;
  /** The server has refused to make it: whoever set it up makes buckets too. */
  let refused = false;

  async function make(): Promise<boolean> {
    const kv = await openBucket(bus, statusBucket);
    if ((await stateOf(kv)) || refused) return false;
    try {
      await makeBucket(bus, statusBucket, { description: statusDescription });
      return true;
    } catch (error) {
      refused = true;
      throw error;
    }
  }

  return {
    async put(key, entry) {
      const what = `the bucket ${statusBucket} cannot be written`;
      const write = async () => (await openBucket(bus, statusBucket)).put(key, JSON.stringify(entry));
      try {
        await write();
      } catch (error) {
        // the bucket itself has refused it: it is full, say
        if (error instanceof JetStreamApiError) throw bucketError(error, what);
        making ??= make().finally(() => {
          making = undefined;
        });
        const made = await making.catch((unmade) => {
          throw bucketError(unmade, `there is no bucket ${statusBucket}, and it cannot be made`);
        });
        if (!made) throw bucketError(error, what);
        await write().catch((again) => {
          throw bucketError(again, what);
        });
      }
    },
    async replace(key, entry, revision) {
      try {
        await (await openBucket(bus, statusBucket)).update(key, JSON.stringify(entry), revision);
        return true;
      } catch (error) {
        if (isOutdated(error)) return false;
        throw bucketError(error, `the bucket ${statusBucket} cannot be written`);
      }
    },
  };
}

/** Another revision is there (10071). */
const isOutdated = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10071;

/**
 * Deletes the entry of a dataset that is replicated no more.
 * @returns false where there is none
 * @throws ZpsendError UNREACHABLE when it could not be deleted, for want of a permission say
 */
export async function forgetStatus(bus: Bus, place: StatusPlace): Promise<boolean> {
  const key = statusKey(place);
  try {
    const kv = await openBucket(bus, statusBucket);
    const entry = await kv.get(key);
    if (entry?.operation !== 'PUT') return false;
    await kv.delete(key, { previousSeq: entry.revision });
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw bucketError(error, `the entry ${key} cannot be deleted`);
  }
}
