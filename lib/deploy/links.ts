import type { Permissions } from '../bus/permissions.ts';
import { parseEvent } from '../bus/subjects.ts';
import { common, covers, widest } from './patterns.ts';

/** An account, and the permissions that its users would have if all users were in one account. */
export interface Party {
  readonly account: string;
  readonly kind: 'jetstream' | 'admins' | 'viewer' | 'host';
  /** The host's name on the bus. */
  readonly host?: string;
  readonly permissions: Permissions;
}

/**
 * A subject from one account to another. For a `service`, the requester imports it from the responder, and the server carries the
 * replies. For a `stream`, the publisher exports it, and there are no replies.
 */
export interface Link {
  readonly kind: 'service' | 'stream';
  readonly from: string;
  readonly to: string;
  readonly subject: string;
}

/** Subjects of JetStream, which only go to and from its account. */
const isStored = (subject: string): boolean => /^(\$JS|\$KV|\$O|_DELIVER)\./.test(subject);

/** The kind of link for a subject between two parties; undefined without a link. */
function kindOf(subject: string, from: Party, to: Party): Link['kind'] | undefined {
  // the server carries replies itself
  if (subject.startsWith('_INBOX.')) return undefined;
  const event = parseEvent(subject);
  if (to.kind === 'jetstream') return isStored(subject) || event ? 'service' : undefined;
  if (from.kind === 'jetstream') return isStored(subject) ? 'stream' : undefined;
  if (isStored(subject)) return undefined;
  // only the host itself publishes its events
  if (event) return from.host === event.host ? 'stream' : undefined;
  return /^zfs-(data|credit)\./.test(subject) ? 'stream' : 'service';
}

function linksBetween(from: Party, to: Party): Link[] {
  const shared = from.permissions.publish.flatMap((published) =>
    to.permissions.subscribe.flatMap((subscribed) => common(published, subscribed) ?? []),
  );
  return widest(shared).flatMap((subject) => {
    const kind = kindOf(subject, from, to);
    return kind === undefined ? [] : [{ kind, from: from.account, to: to.account, subject }];
  });
}

/** Do both import from each other, so that a request would loop? */
const isLoop = (one: Link, other: Link): boolean =>
  one.kind === 'service' &&
  other.kind === 'service' &&
  (covers(one.subject, other.subject) || covers(other.subject, one.subject));

/** The links in both directions, without imports of the same subject from each other, which nats-server refuses. */
function bothWays(one: Party, other: Party): Link[] {
  const [there, back] = [linksBetween(one, other), linksBetween(other, one)];
  const isLoopFree = (link: Link, against: readonly Link[]) => !against.some((reply) => isLoop(link, reply));
  return [...there.filter((link) => isLoopFree(link, back)), ...back.filter((link) => isLoopFree(link, there))];
}

/**
 * The links between accounts that give all parties their permissions as if they were in one account, with private replies and
 * deliveries. Without discovery (`$SRV`) between hosts, which would loop.
 */
export const linksOf = (parties: readonly Party[]): Link[] =>
  parties.flatMap((one, at) => parties.slice(at + 1).flatMap((other) => bothWays(one, other)));
