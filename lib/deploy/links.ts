import type { Permissions } from '../bus/permissions.ts';
import { parseEvent } from '../bus/subjects.ts';
import { common, covers, widest } from './patterns.ts';

/** An account, and what its users may say and hear as if all were of one account. */
export interface Party {
  readonly account: string;
  readonly kind: 'jetstream' | 'admins' | 'viewer' | 'host';
  /** Its own name on the bus, of a host. */
  readonly host?: string;
  readonly permissions: Permissions;
}

/**
 * What goes from one account to another. Of a `service` the asker imports what the other exports, and the server carries the answers,
 * under subjects that it chooses itself. A `stream` is exported by whoever publishes, and has no answers.
 */
export interface Link {
  readonly kind: 'service' | 'stream';
  readonly from: string;
  readonly to: string;
  readonly subject: string;
}

/** JetStream's own subjects, which lead to it and from it only. */
const isStored = (subject: string): boolean => /^(\$JS|\$KV|\$O|_DELIVER)\./.test(subject);

/** How a subject goes from one party to another; undefined where it does not. */
function kindOf(subject: string, from: Party, to: Party): Link['kind'] | undefined {
  // the server itself carries answers
  if (subject.startsWith('_INBOX.')) return undefined;
  const event = parseEvent(subject);
  if (to.kind === 'jetstream') return isStored(subject) || event ? 'service' : undefined;
  if (from.kind === 'jetstream') return isStored(subject) ? 'stream' : undefined;
  if (isStored(subject)) return undefined;
  // what happens on a host only that host says
  if (event) return from.host === event.host ? 'stream' : undefined;
  return /^zfs-(data|credit)\./.test(subject) ? 'stream' : 'service';
}

function linksBetween(from: Party, to: Party): Link[] {
  const shared = from.permissions.publish.flatMap((said) =>
    to.permissions.subscribe.flatMap((heard) => common(said, heard) ?? []),
  );
  return widest(shared).flatMap((subject) => {
    const kind = kindOf(subject, from, to);
    return kind === undefined ? [] : [{ kind, from: from.account, to: to.account, subject }];
  });
}

/** Do both import what the other exports, so that a request would go in a circle? */
const isCircle = (one: Link, other: Link): boolean =>
  one.kind === 'service' &&
  other.kind === 'service' &&
  (covers(one.subject, other.subject) || covers(other.subject, one.subject));

/** Without what nats-server refuses: that two accounts import the same of each other. */
function bothWays(one: Party, other: Party): Link[] {
  const [there, back] = [linksBetween(one, other), linksBetween(other, one)];
  const lacksCircle = (link: Link, against: readonly Link[]) => !against.some((reply) => isCircle(link, reply));
  return [...there.filter((link) => lacksCircle(link, back)), ...back.filter((link) => lacksCircle(link, there))];
}

/**
 * What has to go between accounts so that it is as if all parties were of one account with the permissions that each has, and answers
 * and deliveries go to nobody else. Discovery (`$SRV`) is not among hosts, since it would go in a circle.
 */
export const linksOf = (parties: readonly Party[]): Link[] =>
  parties.flatMap((one, at) => parties.slice(at + 1).flatMap((other) => bothWays(one, other)));
