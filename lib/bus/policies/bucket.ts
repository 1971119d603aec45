import type { StoredMsg } from '@nats-io/jetstream';
import type { Bus } from '../connection/connect.ts';
import { isGone, makeBucket } from '../jetstream/kv-bucket.ts';
import { isValue, readBucket } from '../jetstream/read-bucket.ts';
import { parseKeySubject, policiesBucket } from '../subjects.ts';

/** A value of the bucket, as it is. */
export interface BucketPolicy {
  readonly key: string;
  readonly revision: number;
  readonly text: string;
}

/** What a policy may take at most, in bytes. */
const mostBytes = 64 * 1024;

/**
 * All that is in the bucket `zfs-policies` now, of all hosts, read from its leader; undefined where there is no such bucket. Without a
 * consumer, so that a host needs no permission to make one. A value that is too long is an empty text.
 * @param most values that it may hold
 * @throws Error where it holds more, or JetStream is off, does not answer, or may not be asked
 */
export async function readPolicies(bus: Bus, most: number): Promise<BucketPolicy[] | undefined> {
  try {
    const bounds = { subjects: most, bytes: 2 * most * mostBytes, entry: Number.POSITIVE_INFINITY };
    return [...(await readBucket(bus, policiesBucket, '>', read, bounds)).found];
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function read(message: StoredMsg): BucketPolicy | undefined {
  const key = parseKeySubject(policiesBucket, message.subject) ?? '';
  // what is published past the KV's own rules may have any subject
  if (!/^[-/=.\w]+$/.test(key) || key.endsWith('.') || !isValue(message)) return undefined;
  const text = message.data.length > mostBytes ? '' : message.string();
  return { key, revision: message.seq, text };
}

/**
 * Makes the bucket, so that `nats kv put` finds it.
 * @throws ZpsendError as makeBucket
 */
export const makePolicyBucket = (bus: Bus): Promise<void> =>
  makeBucket(bus, policiesBucket, { history: 8, description: 'zpsend: which dataset goes where' });
