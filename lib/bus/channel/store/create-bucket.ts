import { JetStreamApiError } from '@nats-io/jetstream';
import { Objm, StorageType } from '@nats-io/obj';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { timing } from '../../../time/timing.ts';
import { type JetStreamAt, jetStreamOf } from '../../jetstream/jetstream.ts';
import { withReplicas } from '../../jetstream/replicas.ts';
import { streamsBucket } from '../../subjects.ts';
import { translate } from './jetstream-errors.ts';

export interface BucketBounds {
  readonly maxBytes: number;
  /** After this many seconds an object goes, whoever waits for it. */
  readonly maxAgeSeconds: number;
  /** Copies in a cluster that has so many servers. */
  readonly replicas: number;
}

/**
 * JetStream reserves what a bucket may hold, and has not that much (10047; 10005 in a cluster, where it also means too few
 * servers for the copies), or its account may not (10002).
 */
const isTooMuch = (thrown: unknown): boolean =>
  thrown instanceof JetStreamApiError && [10047, 10005, 10002].includes(thrown.code);
/** A smaller bucket is of no use, in bytes. */
const leastBytes = 64 * 1024 * 1024;

/**
 * Makes the bucket of a source's own streams; where JetStream has no room for one of that size, half of it, or half of that; where
 * it has not that many copies, one. One that was made meanwhile is as good.
 * @returns the bytes that it may hold
 */
export function makeStreams(at: JetStreamAt, source: string, bounds: BucketBounds): Promise<number> {
  return withReplicas((replicas) => makeWith(at, source, { ...bounds, replicas }), bounds.replicas).catch((thrown) => {
    const error = translate(thrown, `making ${streamsBucket(source)}`);
    if (error.code !== 'NOT_ALLOWED') throw error;
    throw new ZpsendError(
      'NOT_ALLOWED',
      `there is no store ${streamsBucket(source)}, and this user may not make it; an administrator does so once: ` +
        `nats object add ${streamsBucket(source)} --max-bucket-size 16GB --ttl 168h --replicas 3 (1 on a server alone). ${error.message}`,
    );
  });
}

async function makeWith(at: JetStreamAt, source: string, bounds: BucketBounds): Promise<number> {
  const buckets = new Objm(jetStreamOf(at, timing.store.answerMs));
  for (let bytes = bounds.maxBytes; ; bytes = Math.floor(bytes / 2)) {
    try {
      const made = await buckets.create(streamsBucket(source), {
        description: `zpsend: streams of ${source} that wait for their targets`,
        storage: StorageType.File,
        replicas: bounds.replicas,
        max_bytes: bytes,
        // nanoseconds here, though KV has milliseconds
        ttl: bounds.maxAgeSeconds * 1e9,
      });
      return (await made.status()).streamInfo.config.max_bytes;
    } catch (thrown) {
      if (!isTooMuch(thrown) || bytes / 2 < leastBytes) throw thrown;
    }
  }
}
