import { JetStreamApiError } from '@nats-io/jetstream';
import { ZpsendError } from '../../../../schemas/errors.ts';

/** Error codes of a full store: 10077 the bucket's size limit, 10047 and 10023 the server's resources. */
const full = new Set([10077, 10047, 10023]);
/** Is there no such bucket (10059)? */
export const isGone = (thrown: unknown): boolean =>
  (thrown instanceof JetStreamApiError && thrown.code === 10059) ||
  (thrown instanceof Error && thrown.message === 'object store not found');

/** Marks a failure of this host's own connection, which says nothing about other hosts. */
const ownConnection = { reason: 'connection-lost' } as const;

export const connectionLost = (): ZpsendError =>
  new ZpsendError('UNREACHABLE', 'the connection to NATS is lost', ownConnection);

/** Translates an error of JetStream or its client. @param what the failed action, for the message */
export function translate(thrown: unknown, what: string): ZpsendError {
  if (thrown instanceof ZpsendError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof JetStreamApiError && full.has(thrown.code)) {
    return new ZpsendError('NO_SPACE', `${what}: ${reason}`, { reason: 'store-full' });
  }
  if (isGone(thrown))
    return new ZpsendError('UNREACHABLE', `${what}: the bucket is not there`, { reason: 'no-bucket' });
  if (thrown instanceof Error && thrown.name === 'JetStreamNotEnabled') {
    return new ZpsendError(
      'UNSUPPORTED',
      `${what}: there is no JetStream, where streams are stored: it is not enabled on the NATS server, or the link to its domain is down`,
    );
  }
  if (/corrupt object|unable to parse digest/.test(reason)) {
    return new ZpsendError('STREAM_BROKEN', `${what}: ${reason.split('\n')[0]}`);
  }
  if (/permissions violation/i.test(reason)) return new ZpsendError('NOT_ALLOWED', `${what}: ${reason}`);
  return new ZpsendError('UNREACHABLE', `${what}: ${reason}`, ownConnection);
}
