import { randomBytes } from 'node:crypto';
import type { Msg } from '@nats-io/transport-node';

/**
 * A subject for the answers to one request, which nobody can guess: the client's own inboxes count on from the first, which whoever is asked sees.
 * @param prefix where this user may hear answers
 */
export const openInbox = (prefix = '_INBOX'): string => `${prefix}.${randomBytes(16).toString('hex')}`;

/**
 * Was it published to this very subject, and not delivered there out of a stream? That bears the subject under which it was stored. Of what the
 * server itself says only that nobody is there (503) counts.
 */
export const isPublishedTo = (
  { subject: bears, headers }: Pick<Msg, 'subject' | 'headers'>,
  subject: string,
): boolean => bears === subject && [0, 503].includes(headers?.code ?? 0) && !headers?.has('Nats-Stream');
