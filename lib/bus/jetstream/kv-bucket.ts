import { JetStreamApiError, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { ZpsendError } from '../../../schemas/errors.ts';
import { keySubject } from '../subjects.ts';
import { type JetStreamAt, jetStreamOf, managerOf, nameAt } from './jetstream.ts';
import { isPermissionError } from './permission-error.ts';
import { withReplicas } from './replicas.ts';

/** A KV bucket as its leader has it now. */
export interface BucketState {
  /** Time to live of an entry, in milliseconds; 0 for no end. */
  readonly ttl: number;
  readonly replicas: number;
  /** Does it lie in a cluster? */
  readonly clustered: boolean;
  readonly trace: BucketTrace;
}

/** What a bucket shows of when it was written to. Times are milliseconds of its server's clock. */
export interface BucketTrace {
  /** When it was made, as the server writes it: another bucket of the name has another one. */
  readonly created: string;
  /** Undefined where the server does not send its time. */
  readonly now: number | undefined;
  /** Only the oldest entry can be taken away: `keepsEntries`. */
  readonly oldestGoFirst: boolean;
  /** When its oldest entry was written; undefined where there is none. */
  readonly oldest: number | undefined;
  readonly oldestRevision: number;
  /** When its newest entry was written, also where that is gone; undefined where that is unknown. */
  readonly newest: number | undefined;
  /** The revision written last, also where that entry is gone. */
  readonly lastRevision: number;
}

export interface BucketWishes {
  /** For people: `nats kv info`. */
  readonly description: string;
  /** Time to live of an entry, in milliseconds; without, no end. */
  readonly ttl?: number;
  /** How many values of each key it keeps: 1, unless this is set. */
  readonly history?: number;
  /** Made so that no user can take away an entry. */
  readonly keepsEntries?: true;
}

/**
 * Of a stream that refuses to purge and to delete a message. A purge by a header has to be off where purges are denied. A server lets
 * no update cancel the two denials.
 */
export const keepsEntries = { allow_rollup_hdrs: false, deny_delete: true, deny_purge: true } as const;

/** An entry goes by its age, oldest first, or by the next message of its key. An own time to live could end a younger one before. */
const oldestGoFirst = ({ deny_purge, deny_delete, allow_msg_ttl }: StreamConfig): boolean =>
  deny_purge === true && deny_delete === true && allow_msg_ttl !== true;

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

const traceOf = ({ created, ts, state, config }: StreamInfo): BucketTrace => ({
  created,
  now: timeOf(ts),
  oldestGoFirst: oldestGoFirst(config),
  oldest: state.messages > 0 ? timeOf(state.first_ts) : undefined,
  oldestRevision: state.first_seq,
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

/** What the client makes a bucket of, but for what it knows no option for. One that another process made meanwhile stays as it is. */
async function addStream(at: JetStreamAt, name: string, { description, ttl }: BucketWishes, num_replicas: number) {
  const { streams } = await managerOf(at, 4000);
  try {
    await streams.add({
      name: `KV_${name}`,
      subjects: [keySubject(name, '>')],
      description,
      max_msgs_per_subject: 1,
      max_age: (ttl ?? 0) * 1e6,
      discard: 'new',
      num_replicas,
      allow_direct: true,
      ...keepsEntries,
    });
  } catch (error) {
    // 10058: there is one with another configuration
    if (!(error instanceof JetStreamApiError && error.code === 10058)) throw error;
  }
}

/** The command of the `nats` CLI that makes it, but for its copies. */
function commandOf(name: string, { ttl, history = 1, keepsEntries }: BucketWishes): string {
  const age = ttl === undefined ? undefined : `${ttl / 1000}s`;
  if (!keepsEntries) return `nats kv add ${name} --history ${history}${age ? ` --ttl ${age}` : ''}`;
  return `nats stream add KV_${name} ${keepsEntriesFlags(name)} --max-msgs-per-subject 1${age ? ` --max-age ${age}` : ''}`;
}

/** Of `nats stream add`, as `nats kv add` has no flags to deny a purge. */
export const keepsEntriesFlags = (name: string): string =>
  `--subjects '${keySubject(name, '>')}' --defaults --storage file --discard new --allow-direct --no-allow-rollup --deny-delete --deny-purge`;

/**
 * Makes a bucket with a history of 1 where there is none.
 * @throws ZpsendError UNREACHABLE where this user may not, with the command that makes it; with the reason `bucket-denied`
 */
export async function makeBucket(at: JetStreamAt, name: string, wishes: BucketWishes): Promise<void> {
  try {
    await withReplicas<unknown>((replicas) =>
      wishes.keepsEntries
        ? addStream(at, name, wishes, replicas)
        : bucketsOf(at).create(name, { history: 1, ...wishes, replicas }),
    );
  } catch (error) {
    if (!isPermissionError(error)) throw error;
    throw new ZpsendError(
      'UNREACHABLE',
      `there is no bucket ${nameAt(at, name)}, and this user may not make it; an administrator does so once: ` +
        `${commandOf(name, wishes)} --replicas 3 (1 on a server alone)`,
      { reason: 'bucket-denied', bucket: name },
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

/**
 * What is read of a bucket; undefined where there is none.
 * @param what failed, for the error
 * @throws ZpsendError as bucketError
 */
export async function unlessGone<T>(read: Promise<T>, what: string): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw bucketError(error, what);
  }
}
