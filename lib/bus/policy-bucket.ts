import { type KV, Kvm } from '@nats-io/kv';
import type { Bus } from './connect.ts';
import { withCopies } from './copies.ts';
import { jetStreamOf, managerOf } from './jetstream.ts';
import { isGone } from './kv-bucket.ts';
import { policiesBucket } from './subjects.ts';

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
 * consumer, so that a host needs no permission to make one.
 * @param most values that it may hold
 * @throws Error where it holds more, or JetStream is off, does not answer, or may not be asked
 */
export async function readPolicies(bus: Bus, most: number): Promise<BucketPolicy[] | undefined> {
  try {
    const manager = await managerOf(bus, timeout);
    const { state } = await manager.streams.info(stream, { subjects_filter: `${prefix}>` });
    const kv = await new Kvm(jetStreamOf(bus, timeout)).open(policiesBucket);
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
    if (keys.length > most) throw new Error(`it holds ${keys.length} keys, and ${most} are the most`);
    const found = await Promise.all(keys.map((key) => read(kv, key)));
    return found.filter((policy) => policy !== undefined);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** @throws Error where it cannot be read */
async function read(kv: KV, key: string): Promise<BucketPolicy | undefined> {
  // what is published past the KV's own rules may have any subject
  if (!/^[-/=.\w]+$/.test(key) || key.endsWith('.')) return undefined;
  const entry = await kv.get(key);
  if (entry?.operation !== 'PUT') return undefined;
  const text = entry.value.length > mostBytes ? '' : entry.string();
  return { key, revision: entry.revision, text };
}

/**
 * Makes the bucket, so that `nats kv put` finds it.
 * @throws Error where this user may not
 */
export async function makePolicyBucket(bus: Bus): Promise<void> {
  const wanted = { history: 8, description: 'zpsend: which dataset goes where' };
  await withCopies((replicas) => new Kvm(jetStreamOf(bus, timeout)).create(policiesBucket, { ...wanted, replicas }));
}

/**
 * Tells that somebody writes to the bucket, whether or not that is accepted.
 * @returns a function that ends it
 */
export function onPolicyWrites(bus: Bus, told: () => void): () => void {
  const subscription = bus.nc.subscribe(`${prefix}>`, {
    callback: (error) => {
      if (!error) told();
    },
  });
  return () => subscription.unsubscribe();
}
