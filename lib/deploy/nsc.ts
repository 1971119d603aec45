import type { Fleet, FleetUser } from '../../schemas/fleet.ts';
import { exporterOf, exportsOf, importsOf, responseType } from './accounts.ts';
import { type Link, linksOf, type Party } from './links.ts';
import { partiesOf, viewerAccount } from './parties.ts';
import { covers, widest } from './patterns.ts';

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

function userCommands(fleet: Fleet, { account, kind, host = '', permissions }: Party): string[] {
  if (kind === 'admins') return Object.entries(fleet.admins).map(([name, user]) => userCommand(account, name, user));
  if (kind === 'viewer') {
    return Object.entries(fleet.viewers).flatMap(([name, user]) =>
      account === viewerAccount(name) ? [userCommand(account, name, user, permissions.subscribe)] : [],
    );
  }
  const user = fleet.hosts[host];
  return user ? [userCommand(account, host, user, permissions.subscribe)] : [];
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

/** What makes the same accounts in operator mode, of a fleet without leaf sites: commands of `nsc`, in the order in which they work. */
export function nscCommands(fleet: Fleet): string[] {
  const parties = partiesOf(fleet);
  const links = importable(linksOf(parties));
  return [
    ...parties.map(({ account }) => command('add', 'account', '--name', account)),
    ...parties.flatMap(({ account, kind }) =>
      kind === 'jetstream' ? [command('edit', 'account', '--name', account, ...withoutEnd)] : [],
    ),
    ...parties.flatMap(({ account }) => exportCommands(account, links)),
    ...parties.flatMap(({ account }) => importCommands(account, links)),
    ...parties.flatMap((party) => userCommands(fleet, party)),
  ];
}
