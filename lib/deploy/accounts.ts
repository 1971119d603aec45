import type { FleetUser } from '../../schemas/fleet.ts';
import type { Link } from './links.ts';

/** An account of one server: who is in it, and what goes in and out. */
export interface Account {
  readonly name: string;
  readonly users: readonly string[];
  readonly isJetStream?: boolean;
  /** In its service exports: what each may be imported by. */
  readonly exports: readonly Export[];
  readonly imports: readonly Link[];
}

export interface Export {
  readonly kind: Link['kind'];
  readonly subject: string;
  readonly accounts: readonly string[];
}

export const quoted = (text: string): string => JSON.stringify(text);

/**
 * A user as nats-server has it.
 * @param hears what it may subscribe to: with its own inboxes among that a client finds out in whose name it asks; everything, without
 */
export function userText({ nkey, user = '', password = '' }: FleetUser, hears?: readonly string[]): string {
  const who = nkey === undefined ? `user: ${quoted(user)}, password: ${quoted(password)}` : `nkey: ${nkey}`;
  const permissions = hears && `permissions: { subscribe: { allow: [${hears.map(quoted).join(', ')}] } }`;
  return `{ ${[who, ...(permissions ? [permissions] : [])].join(', ')} }`;
}

/**
 * Subjects on which one request has one answer. Elsewhere there may be several, and the server keeps the way for them open; there it
 * would keep one for each message that is stored.
 */
const isAnsweredOnce = (subject: string): boolean =>
  /^(\$KV|\$O|\$JS\.ACK|\$JS\.FC)\./.test(subject) || /^\$JS\.API\.(?!>|CONSUMER\.MSG\.NEXT\.)/.test(subject);

export const responseType = (subject: string): 'singleton' | 'stream' =>
  isAnsweredOnce(subject) ? 'singleton' : 'stream';

/** What one account gives to which others. */
export function exportsOf(account: string, links: readonly Link[]): Export[] {
  const own = links.filter(({ kind, from, to }) => (kind === 'service' ? to : from) === account);
  const bySubject = Map.groupBy(own, ({ kind, subject }) => `${kind} ${subject}`);
  return [...bySubject.values()].flatMap((same) => {
    const [first] = same;
    if (!first) return [];
    const { kind, subject } = first;
    return [{ kind, subject, accounts: same.map(({ from, to }) => (kind === 'service' ? from : to)) }];
  });
}

/** What one account takes from others. */
export const importsOf = (account: string, links: readonly Link[]): Link[] =>
  links.filter(({ kind, from, to }) => (kind === 'service' ? from : to) === account);

/** The account whose export a link is. */
export const exporterOf = ({ kind, from, to }: Link): string => (kind === 'service' ? to : from);

const exportText = ({ kind, subject, accounts }: Export): string => {
  const type = kind === 'service' ? `, response_type: ${responseType(subject)}` : '';
  return `{ ${kind}: ${quoted(subject)}${type}, accounts: [${accounts.map(quoted).join(', ')}] }`;
};

const importText = (link: Link): string =>
  `{ ${link.kind}: { account: ${quoted(exporterOf(link))}, subject: ${quoted(link.subject)} } }`;

const list = (name: string, items: readonly string[]): string[] =>
  items.length === 0 ? [] : [`    ${name}: [`, ...items.map((item) => `      ${item}`), '    ]'];

/** The `accounts` block of a server. */
export const accountsText = (accounts: readonly Account[]): string[] => [
  'accounts {',
  ...accounts.flatMap(({ name, users, isJetStream, exports, imports }) => [
    `  ${quoted(name)}: {`,
    ...(isJetStream ? ['    jetstream: enabled'] : []),
    ...list('users', users),
    ...list('exports', exports.map(exportText)),
    ...list('imports', imports.map(importText)),
    '  }',
  ]),
  '}',
];
