import { JetStreamApiError, jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { Bus } from '../connect.ts';
import { locksBucket } from '../subjects.ts';

/** The bucket of locks as its leader has it now. */
export interface BucketState {
  /** Time to live of a lock, in milliseconds; 0 for no end. */
  readonly ttl: number;
  /** How long ago it was made, in milliseconds of the server's own clock. */
  readonly age: number;
  readonly replicas: number;
  /** Does it lie in a cluster? */
  readonly clustered: boolean;
}

/** There is no such stream (10059). */
export const isGone = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10059;

const bucketsOf = (bus: Bus): Kvm => new Kvm(jetstream(bus.nc, { timeout: 4000 }));

/**
 * The bucket, which need not be there. Opened and not made, it is read from its leader: one that this client made may be
 * read from any replica. It is one of a name, and stays good when the bucket is lost and made again.
 */
export const openBucket = (bus: Bus): Promise<KV> => bucketsOf(bus).open(locksBucket);

/** Asks the leader; undefined where there is no bucket. */
export async function stateOf(kv: KV): Promise<BucketState | undefined> {
  try {
    const { ttl, replicas, streamInfo } = await kv.status();
    const { created, ts, cluster } = streamInfo;
    // a server too old to tell its time has no young buckets for us
    const age = ts === undefined ? Number.POSITIVE_INFINITY : Date.parse(ts) - Date.parse(created);
    return { ttl, age, replicas, clustered: cluster?.name !== undefined };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/**
 * Makes the bucket where there is none, in a cluster with three copies, so that one server may be down. A server alone refuses
 * that (10074 on 2.15.1), and so do two (10005).
 * @param ttl time to live of a lock, in milliseconds
 */
export async function makeBucket(bus: Bus, ttl: number): Promise<void> {
  const wanted = { history: 1, ttl, description: 'zpsend: one receive into a dataset at a time' };
  try {
    await bucketsOf(bus).create(locksBucket, { ...wanted, replicas: 3 });
  } catch (error) {
    if (!(error instanceof JetStreamApiError)) throw error;
    await bucketsOf(bus).create(locksBucket, wanted);
  }
}
