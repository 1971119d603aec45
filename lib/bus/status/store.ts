import { JetStreamApiError } from '@nats-io/jetstream';
import { hasReason, ZpsendError } from '../../../schemas/errors.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { Bus } from '../connection/connect.ts';
import { bucketError, isGone, openBucket } from '../jetstream/kv-bucket.ts';
import { createMissing, putOrCreate } from '../jetstream/put-or-create.ts';
import { type StatusPlace, statusBucket, statusDescription, statusKey } from '../subjects.ts';

/** Writes the status of a sender's replication: KV bucket `zfs-status`. */
export interface StatusStore {
  /**
   * Writes one entry. The bucket is created where there is none: at the first use, or after it was lost.
   * @throws ZpsendError UNSUPPORTED when JetStream is off; UNREACHABLE when the entry could not be written
   */
  put(key: string, entry: StatusEntry): Promise<void>;
  /**
   * Replaces the entry of a revision.
   * @returns false where it was written or deleted since
   * @throws ZpsendError UNREACHABLE when the entry could not be written
   */
  replace(key: string, entry: StatusEntry, revision: number): Promise<boolean>;
}

export function openStatusStore(bus: Bus): StatusStore {
  let creating: Promise<boolean> | undefined;
  /** The server has refused to create it, so only an administrator can. */
  let isRefused = false;

  async function createOnce(): Promise<boolean> {
    if (isRefused) return false;
    try {
      return await createMissing(bus, statusBucket, { description: statusDescription });
    } catch (error) {
      // an outage passes
      isRefused = hasReason(ZpsendError.from(error), 'UNREACHABLE', 'bucket-denied');
      throw bucketError(error, `there is no bucket ${statusBucket}, and it cannot be created`);
    }
  }
  /** Of entries that are written at the same moment one creates the bucket. */
  const create = (): Promise<boolean> => {
    creating ??= createOnce().finally(() => {
      creating = undefined;
    });
    return creating;
  };

  return {
    async put(key, entry) {
      try {
        await putOrCreate(bus, statusBucket, (kv) => kv.put(key, JSON.stringify(entry)), create);
      } catch (error) {
        throw bucketError(error, `the bucket ${statusBucket} cannot be written`);
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
 * Deletes the entry of a dataset that is not replicated.
 * @returns false where there is none
 * @throws ZpsendError UNREACHABLE when it could not be deleted, for example without the permission
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
