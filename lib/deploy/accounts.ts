import type { FleetUser } from '../../schemas/fleet.ts';
import type { Link } from './links.ts';

/** An account of one server: its users, exports and imports. */
export interface Account {
  readonly name: string;
  readonly users: readonly string[];
  readonly isJetStream?: boolean;
  /** Each with the accounts that may import it. */
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
 * A user in the configuration of nats-server.
 * @param subscribe the subjects that it may subscribe to, everything if absent; a client learns its user from its inboxes among them
 */
export function userText({ nkey, user = '', password = '' }: FleetUser, subscribe?: readonly string[]): string {
  const who = nkey === undefined ? `user: ${quoted(user)}, password: ${quoted(password)}` : `nkey: ${nkey}`;
  const permissions = subscribe && `permissions: { subscribe: { allow: [${subscribe.map(quoted).join(', ')}] } }`;
  return `{ ${[who, ...(permissions ? [permissions] : [])].join(', ')} }`;
}

/**
 * Subjects on which a request has exactly one reply. For several replies the server keeps state for each request, which would be one
 * for each stored message here.
 */
const isAnsweredOnce = (subject: string): boolean =>
  /^(\$KV|\$O|\$JS\.ACK|\$JS\.FC)\./.test(subject) || /^\$JS\.API\.(?!>|CONSUMER\.MSG\.NEXT\.)/.test(subject);

export const responseType = (subject: string): 'singleton' | 'stream' =>
  isAnsweredOnce(subject) ? 'singleton' : 'stream';

/** The exports of one account, with the accounts that import them. */
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

/** The imports of one account. */
export const importsOf = (account: string, links: readonly Link[]): Link[] =>
  links.filter(({ kind, from, to }) => (kind === 'service' ? from : to) === account);

/** The account that exports the link. */
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
