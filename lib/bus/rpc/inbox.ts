import { randomBytes } from 'node:crypto';
import type { Msg } from '@nats-io/transport-node';

/**
 * A random subject for the replies to one request. The client's own inboxes are a sequence: a host that sees one can compute the next.
 * @param prefix the inbox prefix of this user
 */
export const openInbox = (prefix = '_INBOX'): string => `${prefix}.${randomBytes(16).toString('hex')}`;

/**
 * Was the message published to exactly this subject? A message that JetStream delivers keeps its stored subject. Of the server's own
 * reports only "no responders" (503) counts.
 */
export const isPublishedTo = (
  { subject: publishedTo, headers }: Pick<Msg, 'subject' | 'headers'>,
  subject: string,
): boolean => publishedTo === subject && [0, 503].includes(headers?.code ?? 0) && !headers?.has('Nats-Stream');
