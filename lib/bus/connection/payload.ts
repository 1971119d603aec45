import { hasReason, type Reasoned, ZpsendError } from '../../../schemas/errors.ts';

/** What the server of a connection takes in one message, in bytes. */
interface PayloadLimit {
  readonly maxPayload: number;
  readonly server: string;
}

/** The least that data frames and whole entries of a listing fit in, in bytes. */
export const leastPayload = 64 * 1024;

/**
 * Why nothing can be done over a connection now: its server, or this account, takes smaller messages than zpsend needs. Asked at each use, since
 * every reconnect may bring another limit.
 */
export function payloadTrouble({ maxPayload, server }: PayloadLimit): ZpsendError | undefined {
  if (!(maxPayload < leastPayload)) return undefined;
  return new ZpsendError(
    'UNSUPPORTED',
    `the NATS server at ${server} takes messages of ${maxPayload} bytes at most, and zpsend needs ${leastPayload}: ` +
      'raise max_payload in its configuration (its default is 1 MiB), or the limit of this account',
    { reason: 'payload-limit', maxPayload, least: leastPayload },
  );
}

/** Does a failure come from such a limit? It passes when an administrator raises the limit, and the work goes on. */
export const isPayloadTrouble = (error: Reasoned): boolean => hasReason(error, 'UNSUPPORTED', 'payload-limit');
