import { JetStreamApiError, type StreamInfo } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { ZpsendError } from '../../schemas/errors.ts';
import { withCopies } from './copies.ts';
import { isForbidden } from './forbidden.ts';
import { type JetStreamAt, jetStreamOf, nameAt } from './jetstream.ts';

/** A KV bucket as its leader has it now. */
export interface BucketState {
  /** Time to live of an entry, in milliseconds; 0 for no end. */
  readonly ttl: number;
  readonly replicas: number;
  /** Does it lie in a cluster? */
  readonly clustered: boolean;
  readonly trace: BucketTrace;
}

/** What a bucket tells of when it was written to. Times are milliseconds of its server's clock. */
export interface BucketTrace {
  /** When it was made, as the server writes it: another bucket of the name has another one. */
  readonly created: string;
  /** Undefined where the server does not tell its time. */
  readonly now: number | undefined;
  /** When its newest entry was written, also where that is gone; undefined where nobody knows. */
  readonly newest: number | undefined;
  /** The revision written last, also where that entry is gone. */
  readonly lastRevision: number;
}

export interface BucketWishes {
  /** For people: `nats kv info`. */
  readonly description: string;
  /** Time to live of an entry, in milliseconds; without, no end. */
  readonly ttl?: number;
}

/** There is no such stream (10059). */
export const isGone = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10059;

const bucketsOf = (at: JetStreamAt): Kvm => new Kvm(jetStreamOf(at, 4000));

/**
 * A bucket, which need not be there. Opened and not made, it is read from its leader: one that this client made may be
 * read from any replica. It is one of a name, and stays good when the bucket is lost and made again.
 */
export const openBucket = (at: JetStreamAt, name: string): Promise<KV> => bucketsOf(at).open(name);

/** The server writes the year 1 for never. */
const timeOf = (text: string | undefined): number | undefined => {
  const at = Date.parse(text ?? '');
  return at > 0 ? at : undefined;
};

const traceOf = ({ created, ts, state }: StreamInfo): BucketTrace => ({
  created,
  now: timeOf(ts),
  newest: timeOf(state.last_ts),
  lastRevision: state.last_seq,
});

/** Asks the leader; undefined where there is no bucket. */
export async function stateOf(kv: KV): Promise<BucketState | undefined> {
  try {
    const { ttl, replicas, streamInfo } = await kv.status();
    return { ttl, replicas, clustered: streamInfo.cluster?.name !== undefined, trace: traceOf(streamInfo) };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/**
 * Makes a bucket with a history of 1 where there is none.
 * @throws ZpsendError UNREACHABLE where this user may not, with the command that makes it; `details.forbidden` names the bucket
 */
export async function makeBucket(at: JetStreamAt, name: string, wishes: BucketWishes): Promise<void> {
  try {
    await withCopies((replicas) => bucketsOf(at).create(name, { history: 1, ...wishes, replicas }));
  } catch (error) {
    if (!isForbidden(error)) throw error;
    const ttl = wishes.ttl === undefined ? '' : ` --ttl ${wishes.ttl / 1000}s`;
    throw new ZpsendError(
      'UNREACHABLE',
      `there is no bucket ${nameAt(at, name)}, and this user may not make it; an administrator does so once: ` +
        `nats kv add ${name} --history 1${ttl} --replicas 3 (1 on a server alone)`,
      { forbidden: name },
    );
  }
}

const needsJetStream =
  'JetStream is not enabled on the NATS server, and locks and status live there: ' +
  'start nats-server with -js (or a "jetstream {}" block), or enable it for this account';

/** What failed with a bucket, as a coded error: UNSUPPORTED where JetStream is off, else UNREACHABLE. */
export function bucketError(thrown: unknown, what: string): ZpsendError {
  if (thrown instanceof ZpsendError) return thrown;
  // the client does not export the class of this error
  if (thrown instanceof Error && thrown.name === 'JetStreamNotEnabled')
    return new ZpsendError('UNSUPPORTED', needsJetStream);
  // 10039: not enabled for the account; 10076: not enabled at all
  if (thrown instanceof JetStreamApiError && [10039, 10076].includes(thrown.code)) {
    return new ZpsendError('UNSUPPORTED', needsJetStream);
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new ZpsendError('UNREACHABLE', `${what}: ${reason}`);
}
