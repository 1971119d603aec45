import { hasReason, type Reasoned, ZpsendError } from '../../../schemas/errors.ts';
import type { NatsEvent } from './dial.ts';

/** The limit of one message on the server of a connection, in bytes. */
interface PayloadLimit {
  readonly maxPayload: number;
  readonly server: string;
}

/** The smallest limit in which data frames and whole entries of a listing fit, in bytes. */
export const leastPayload = 64 * 1024;

/**
 * The error if the server or the account accepts only smaller messages than zpsend needs. Called at each use, since a reconnect may
 * change the limit.
 */
export function payloadTrouble({ maxPayload, server }: PayloadLimit): ZpsendError | undefined {
  if (!(maxPayload < leastPayload)) return undefined;
  return new ZpsendError(
    'UNSUPPORTED',
    `the NATS server at ${server} takes messages of ${maxPayload} bytes at most, but zpsend needs ${leastPayload}: ` +
      'raise max_payload in its configuration (its default is 1 MiB), or the limit of this account',
    { reason: 'payload-limit', maxPayload, least: leastPayload },
  );
}

/** @returns a check that reports once that the limit is too small, and once that it is large enough again */
export function openPayloadCheck(limit: PayloadLimit, report: (event: NatsEvent, text: string) => void): () => void {
  let isSmall = false;
  return () => {
    const trouble = payloadTrouble(limit);
    if (trouble && !isSmall)
      report('nats.payload-too-small', `${trouble.message}; until then, requests are answered with this error`);
    if (!trouble && isSmall)
      report('nats.payload-restored', `the NATS server accepts messages of ${limit.maxPayload} bytes again`);
    isSmall = trouble !== undefined;
  };
}

/** Does a failure come from such a limit? The work continues when an administrator raises it. */
export const isPayloadTrouble = (error: Reasoned): boolean => hasReason(error, 'UNSUPPORTED', 'payload-limit');
