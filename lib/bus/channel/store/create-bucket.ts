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
  /** After this many seconds an object is deleted, even if a target still needs it. */
  readonly maxAgeSeconds: number;
  /** Replicas in a cluster with at least as many servers. */
  readonly replicas: number;
}

/** JetStream reserves the bucket's size. 10047: no space. 10005: in a cluster, no space or too few servers. 10002: above the account's limit. */
const isTooMuch = (thrown: unknown): boolean =>
  thrown instanceof JetStreamApiError && [10047, 10005, 10002].includes(thrown.code);
/** The smallest useful bucket, in bytes. */
const leastBytes = 64 * 1024 * 1024;

/**
 * Creates the bucket of a source's streams. If JetStream lacks the space, the size is halved repeatedly. If it has too few servers,
 * the bucket has one replica. An existing bucket is used as it is.
 * @returns its size in bytes
 */
export function createStreamsBucket(at: JetStreamAt, source: string, bounds: BucketBounds): Promise<number> {
  return withReplicas((replicas) => createHalving(at, source, { ...bounds, replicas }), bounds.replicas).catch(
    (thrown) => {
      const error = translate(thrown, `creating ${streamsBucket(source)}`);
      if (error.code !== 'NOT_ALLOWED') throw error;
      throw new ZpsendError(
        'NOT_ALLOWED',
        `there is no store ${streamsBucket(source)}, and this user may not create it. An administrator does so once: ` +
          `nats object add ${streamsBucket(source)} --max-bucket-size 16GB --ttl 168h --replicas 3 (1 on a server alone). ${error.message}`,
      );
    },
  );
}

async function createHalving(at: JetStreamAt, source: string, bounds: BucketBounds): Promise<number> {
  const buckets = new Objm(jetStreamOf(at, timing.store.answerMs));
  for (let bytes = bounds.maxBytes; ; bytes = Math.floor(bytes / 2)) {
    try {
      const made = await buckets.create(streamsBucket(source), {
        description: `zpsend: streams of ${source}, stored for their targets`,
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
