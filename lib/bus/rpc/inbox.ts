import { randomBytes } from 'node:crypto';
import type { Msg } from '@nats-io/transport-node';

/**
 * A random subject for the answers to one request. The client's own inboxes are a sequence: a host that sees one can compute the next.
 * @param prefix where this user may hear answers
 */
export const openInbox = (prefix = '_INBOX'): string => `${prefix}.${randomBytes(16).toString('hex')}`;

/**
 * Was it published to this very subject, and not delivered there out of a stream? That bears the subject under which it was stored. Of what the
 * server itself reports, that there is no responder (503), counts.
 */
export const isPublishedTo = (
  { subject: bears, headers }: Pick<Msg, 'subject' | 'headers'>,
  subject: string,
): boolean => bears === subject && [0, 503].includes(headers?.code ?? 0) && !headers?.has('Nats-Stream');
