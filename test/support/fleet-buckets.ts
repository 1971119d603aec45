import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { createStreamsBucket } from '../../lib/bus/channel/store/create-bucket.ts';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { makeBucket } from '../../lib/bus/jetstream/kv-bucket.ts';
import {
  eventsStream,
  hostsBucket,
  locksBucket,
  policiesBucket,
  statusBucket,
  subjects,
} from '../../lib/bus/subjects.ts';

export interface FleetBuckets {
  /** Hosts with a store. The first one has a policy: it sends `pool/b` to `policyTarget`. */
  readonly sources: readonly string[];
  readonly policyTarget: string;
  /** Whether the bucket of locks refuses that entries are taken away. */
  readonly keepsEntries: boolean;
}

/** All buckets and streams of a fleet, as an administrator makes them before a host runs. */
export async function makeFleetBuckets(admin: Bus, { sources, policyTarget, keepsEntries }: FleetBuckets) {
  const buckets = new Kvm(jetstream(admin.nc));
  if (keepsEntries) await makeBucket(admin, locksBucket, { description: 'locks', ttl: 4000, keepsEntries });
  else await buckets.create(locksBucket, { history: 1, ttl: 4000 });
  await buckets.create(statusBucket, { history: 1 });
  await buckets.create(hostsBucket, { history: 1 });
  const policies = await buckets.create(policiesBucket, { history: 8 });
  await policies.put(`${sources[0]}.b`, JSON.stringify({ dataset: 'pool/b', to: [policyTarget] }));
  await makeStores(admin, sources);
}

/** The stores of these hosts, and the stream of events. */
export async function makeStores(admin: Bus, sources: readonly string[]): Promise<void> {
  for (const source of sources)
    await createStreamsBucket(admin, source, { maxBytes: 256 * 1024 * 1024, maxAgeSeconds: 600, replicas: 1 });
  const subject = subjects.snapshotCreated('*');
  await (await jetstreamManager(admin.nc)).streams.add({ name: eventsStream, subjects: [subject] });
}
