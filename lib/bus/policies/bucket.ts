import type { StoredMsg } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { Bus } from '../connection/connect.ts';
import { jetStreamOf } from '../jetstream/jetstream.ts';
import { isGone } from '../jetstream/kv-bucket.ts';
import { isValue, lastMessages } from '../jetstream/read-bucket.ts';
import { withReplicas } from '../jetstream/replicas.ts';
import { policiesBucket } from '../subjects.ts';

/** A value of the bucket, as it is. */
export interface BucketPolicy {
  readonly key: string;
  readonly revision: number;
  readonly text: string;
}

const stream = `KV_${policiesBucket}`;
const prefix = `$KV.${policiesBucket}.`;
const timeout = 4000;
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
    return [...(await lastMessages(bus, stream, `${prefix}>`, read, bounds)).found];
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function read(message: StoredMsg): BucketPolicy | undefined {
  const key = message.subject.slice(prefix.length);
  // what is published past the KV's own rules may have any subject
  if (!/^[-/=.\w]+$/.test(key) || key.endsWith('.') || !isValue(message)) return undefined;
  const text = message.data.length > mostBytes ? '' : message.string();
  return { key, revision: message.seq, text };
}

/**
 * Makes the bucket, so that `nats kv put` finds it.
 * @throws Error where this user may not
 */
export async function makePolicyBucket(bus: Bus): Promise<void> {
  const wanted = { history: 8, description: 'zpsend: which dataset goes where' };
  await withReplicas((replicas) => new Kvm(jetStreamOf(bus, timeout)).create(policiesBucket, { ...wanted, replicas }));
}
