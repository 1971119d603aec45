import type { Fleet, FleetUser } from '../../schemas/fleet.ts';
import { exporterOf, exportsOf, importsOf, responseType } from './accounts.ts';
import type { Link, Party } from './links.ts';
import { partiesOf, viewerAccount } from './parties.ts';
import { covers, widest } from './patterns.ts';
import { accountsAtSites, fleetHostOf, linksAt } from './sites.ts';

/** Quotes a word of a shell command; the word contains no quote. */
const word = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text}'`);
const command = (...words: readonly string[]): string => ['nsc', ...words.map(word)].join(' ');

/**
 * Exports are public: only the operator signs imports of an account, and hosts have only the keys of their users. `nsc` refuses an
 * export that another one covers, so only the widest are made.
 */
function exportCommands(account: string, links: readonly Link[]): string[] {
  const all = exportsOf(account, links);
  const subjects = (kind: Link['kind']) => widest(all.flatMap((one) => (one.kind === kind ? [one.subject] : [])));
  const add = (kind: Link['kind'], subject: string, ...more: string[]) =>
    command('add', 'export', '--account', account, '--name', `${kind} ${subject}`, '--subject', subject, ...more);
  return [
    ...subjects('stream').map((subject) => add('stream', subject)),
    ...subjects('service').map((subject) =>
      add(
        'service',
        subject,
        '--service',
        '--response-type',
        responseType(subject) === 'stream' ? 'Stream' : 'Singleton',
      ),
    ),
  ];
}

const importCommands = (account: string, links: readonly Link[]): string[] =>
  importsOf(account, links).map((link) => {
    const from = exporterOf(link);
    const where = ['--src-account', from, '--remote-subject', link.subject, '--local-subject', link.subject];
    const name = ['--name', `${from} ${link.subject}`];
    return command(
      'add',
      'import',
      '--account',
      account,
      ...name,
      ...where,
      ...(link.kind === 'service' ? ['--service'] : []),
    );
  });

/** A user with the key from its host; without a key, nsc makes one. */
function userCommand(account: string, name: string, { nkey }: FleetUser, subscribe?: readonly string[]): string {
  const key = nkey === undefined ? [] : ['--public-key', nkey];
  const sub = subscribe === undefined ? [] : ['--allow-sub', subscribe.join(',')];
  return command('add', 'user', '--account', account, '--name', name, ...key, ...sub);
}

/** The user of the leaf connection that a site's server makes for a host. */
const linkUser = (host: string): string => `${host}-link`;

/** A host of a site connects only to its site, which has a leaf connection for it; `nsc add user` has no option for that. */
function linkCommands(account: string, host: string, link: string | undefined): string[] {
  const name = linkUser(host);
  return [
    userCommand(account, name, { nkey: link }),
    command('edit', 'user', '--account', account, '--name', name, '--conn-type', 'LEAFNODE'),
  ];
}

function userCommands(fleet: Fleet, party: Party): string[] {
  const { account, kind, host = '', permissions } = party;
  if (kind === 'admins') return Object.entries(fleet.admins).map(([name, user]) => userCommand(account, name, user));
  if (kind === 'viewer') {
    return Object.entries(fleet.viewers).flatMap(([name, user]) =>
      account === viewerAccount(name) ? [userCommand(account, name, user, permissions.subscribe)] : [],
    );
  }
  const user = fleetHostOf(fleet, party);
  if (!user) return [];
  if (user.site !== undefined) return linkCommands(account, host, user.link);
  return [userCommand(account, host, user, permissions.subscribe)];
}

const withoutEnd = ['--js-mem-storage', '-1', '--js-disk-storage', '-1', '--js-streams', '-1', '--js-consumer', '-1'];

/** A JWT must not have an import that another one covers, so discovery, to which several hosts reply, is left out. */
function importable(links: readonly Link[]): Link[] {
  const isTwice = (one: Link) =>
    links.some(
      (other) =>
        other !== one &&
        other.kind === one.kind &&
        other.from === one.from &&
        (covers(other.subject, one.subject) || covers(one.subject, other.subject)),
    );
  return links.filter((link) => link.kind === 'stream' || !isTwice(link));
}

/**
 * Commands that print the part of the central servers' configuration that replaces `accounts` and `default_js_domain`. In operator
 * mode, accounts are named by keys, which nsc makes.
 */
function configCommands(accounts: readonly string[]): string[] {
  const line = (account: string) =>
    `echo "  $(${command('describe', 'account', '--name', account, '--field', 'sub')}): \\"\\""`;
  return [
    command('generate', 'config', '--mem-resolver'),
    ...(accounts.length === 0 ? [] : ["echo 'default_js_domain {'", ...accounts.map(line), "echo '}'"]),
  ];
}

/**
 * The `nsc` commands that create the accounts of the central servers in operator mode, in a working order. The server of a leaf site
 * has its accounts in its own file, and a user here for each of its hosts.
 */
export function nscCommands(fleet: Fleet): string[] {
  const parties = partiesOf(fleet);
  const links = importable(linksAt(fleet, parties, undefined));
  return [
    ...parties.map(({ account }) => command('add', 'account', '--name', account)),
    ...parties.flatMap(({ account, kind }) =>
      kind === 'jetstream' ? [command('edit', 'account', '--name', account, ...withoutEnd)] : [],
    ),
    ...parties.flatMap(({ account }) => exportCommands(account, links)),
    ...parties.flatMap(({ account }) => importCommands(account, links)),
    ...parties.flatMap((party) => userCommands(fleet, party)),
    ...configCommands(accountsAtSites(fleet, parties)),
  ];
}
