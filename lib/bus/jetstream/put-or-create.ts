import { JetStreamApiError } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { JetStreamAt } from './jetstream.ts';
import { type BucketWishes, isGone, makeBucket, openBucket, stateOf } from './kv-bucket.ts';

/**
 * Creates a bucket where there is none.
 * @returns false where it is there already
 * @throws ZpsendError as makeBucket; Error where JetStream is off or does not answer
 */
export async function createMissing(at: JetStreamAt, name: string, wishes: BucketWishes): Promise<boolean> {
  if (await stateOf(await openBucket(at, name))) return false;
  await makeBucket(at, name, wishes);
  return true;
}

/**
 * Uses a bucket that may be missing: for the first time, or because it was lost. What fails is done once more after the bucket was
 * created, here or by another process.
 * @param use reads or writes the bucket
 * @param create as createMissing
 * @throws what `use` or `create` throws
 */
export async function putOrCreate<T>(
  at: JetStreamAt,
  name: string,
  use: (kv: KV) => Promise<T>,
  create: () => Promise<boolean>,
): Promise<T> {
  const kv = await openBucket(at, name);
  try {
    return await use(kv);
  } catch (error) {
    // the bucket itself refused it, because it is full for example
    const isThere = error instanceof JetStreamApiError && !isGone(error);
    if (isThere) throw error;
    const created = await create();
    // another process may have created it meanwhile
    if (!created && !isGone(error)) throw error;
    return use(kv);
  }
}
