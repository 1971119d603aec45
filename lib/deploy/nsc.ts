import type { Fleet, FleetUser } from '../../schemas/fleet.ts';
import { exporterOf, exportsOf, importsOf, responseType } from './accounts.ts';
import type { Link, Party } from './links.ts';
import { partiesOf, viewerAccount } from './parties.ts';
import { covers, widest } from './patterns.ts';
import { accountsAtSites, linksAt, ownHost } from './places.ts';

/** A word of a shell command, which holds no quote. */
const word = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text}'`);
const command = (...words: readonly string[]): string => ['nsc', ...words.map(word)].join(' ');

/**
 * Exports are public: the operator alone signs what an account imports, and hosts have the keys of their users only. `nsc` refuses one that
 * another covers; the wider one serves for both.
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

/** A user whose key was made on its host; where only a name is given, nsc makes the key. */
function userCommand(account: string, name: string, { nkey }: FleetUser, hears?: readonly string[]): string {
  const key = nkey === undefined ? [] : ['--public-key', nkey];
  const sub = hears === undefined ? [] : ['--allow-sub', hears.join(',')];
  return command('add', 'user', '--account', account, '--name', name, ...key, ...sub);
}

/** The user of the connection that a site's server makes for a host. */
const linkUser = (host: string): string => `${host}-link`;

/** A host of a site connects to its site only, and the site speaks for it; `nsc add user` has no option for that. */
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
  const user = ownHost(fleet, party);
  if (!user) return [];
  if (user.site !== undefined) return linkCommands(account, host, user.link);
  return [userCommand(account, host, user, permissions.subscribe)];
}

const withoutEnd = ['--js-mem-storage', '-1', '--js-disk-storage', '-1', '--js-streams', '-1', '--js-consumer', '-1'];

/** The JWT of an account imports nothing that another import covers: what several hosts answer alike, discovery, is left out. */
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
 * What stands in the configuration of the servers in the middle in place of `accounts` and `default_js_domain`, on standard output. In
 * operator mode accounts are named by keys, which nsc makes.
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
 * What makes the accounts of the servers in the middle in operator mode: commands of `nsc`, in the order in which they work. The server
 * of a leaf site has its accounts in its own file, and a user here for each of its hosts.
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
