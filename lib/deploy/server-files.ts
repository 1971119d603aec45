import type { Fleet } from '../../schemas/fleet.ts';
import { wantedStreams } from '../bus/setup/wanted.ts';
import { type Account, accountsText, exportsOf, importsOf, quoted, userText } from './accounts.ts';
import type { Link, Party } from './links.ts';
import { partiesOf, viewerAccount } from './parties.ts';
import { accountsAtSites, fleetHostOf, linksAt, siteOf } from './sites.ts';

/** The configuration of one nats-server. */
export interface ServerFile {
  /** The server's name in `servers` or `sites`. */
  readonly server: string;
  readonly text: string;
}

/** The users of a party at the central servers; a host of a site connects only through its site's server. */
function usersInMiddle(fleet: Fleet, party: Party): string[] {
  const host = fleetHostOf(fleet, party);
  if (party.kind === 'admins') return Object.values(fleet.admins).map((admin) => userText(admin));
  if (party.kind === 'viewer') return viewersOf(fleet, party);
  if (!host) return [];
  if (host.site === undefined) return [userText(host, party.permissions.subscribe)];
  return [`{ nkey: ${host.link}, allowed_connection_types: ["LEAFNODE"] }`];
}

const viewersOf = ({ viewers }: Fleet, { account, permissions }: Party): string[] =>
  Object.entries(viewers).flatMap(([name, user]) =>
    account === viewerAccount(name) ? [userText(user, permissions.subscribe)] : [],
  );

const accountOf = (party: Party, users: readonly string[], links: readonly Link[]): Account => ({
  name: party.account,
  users,
  isJetStream: party.kind === 'jetstream',
  exports: exportsOf(party.account, links),
  imports: importsOf(party.account, links),
});

/** @param isMutual both sides show a certificate */
function tlsText({ tls }: Fleet, isMutual = false): string[] {
  if (tls === 'off') return [];
  return [
    'tls {',
    `  cert_file: ${quoted(tls.cert)}`,
    `  key_file: ${quoted(tls.key)}`,
    `  ca_file: ${quoted(tls.ca)}`,
    ...(isMutual ? ['  verify: true'] : []),
    '}',
  ];
}

const indented = (lines: readonly string[], by = 2): string[] => lines.map((line) => `${' '.repeat(by)}${line}`);

const headOf = (fleet: Fleet, name: string): string[] => [
  '# made by: zpsend deploy accounts',
  `server_name: ${quoted(name)}`,
  `listen: "0.0.0.0:${fleet.ports.clients}"`,
  `http: "127.0.0.1:${fleet.ports.monitor}"`,
  '# a client that hangs is noticed soon, and no longer asked',
  'ping_interval: "10s"',
  'ping_max: 2',
  ...tlsText(fleet),
];

/** The hosts of a fleet that send; each has its own store. */
export const sourcesOf = ({ hosts }: Fleet): string[] =>
  Object.entries(hosts).flatMap(([host, { roles }]) => (roles.includes('sender') ? [host] : []));

/** The maximum size of all buckets, and 10 % more, in bytes. */
function fileStoreOf(fleet: Fleet): number {
  const all = wantedStreams(fleet.buckets, sourcesOf(fleet), 1).reduce((sum, { config }) => sum + config.max_bytes, 0);
  return fleet.jetstream.maxFileStore ?? Math.ceil(1.1 * all);
}

const jetStreamText = (fleet: Fleet, { jetstream } = fleet): string[] => [
  'jetstream {',
  `  store_dir: ${quoted(jetstream.folder)}`,
  `  max_file_store: ${fileStoreOf(fleet)}`,
  `  max_memory_store: ${jetstream.maxMemoryStore}`,
  ...(jetstream.domain === undefined ? [] : [`  domain: ${quoted(jetstream.domain)}`]),
  '  # a request with a field that is none is refused',
  '  strict: true',
  '  # locks and status have to outlive a power failure; the default writes them to disk every two minutes',
  '  sync_interval: always',
  '}',
];

const withPort = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;

function clusterText(fleet: Fleet): string[] {
  if (fleet.servers.length === 1) return [];
  return [
    'cluster {',
    '  name: zpsend',
    `  listen: "0.0.0.0:${fleet.ports.cluster}"`,
    ...indented(tlsText(fleet, true)),
    '  routes: [',
    ...fleet.servers.map(({ address }) => `    ${quoted(`nats://${withPort(address, fleet.ports.cluster)}`)}`),
    '  ]',
    '}',
  ];
}

function sitesText(fleet: Fleet): string[] {
  if (fleet.sites.length === 0) return [];
  return ['leafnodes {', `  listen: "0.0.0.0:${fleet.ports.sites}"`, ...indented(tlsText(fleet, true)), '}'];
}

function middleText(fleet: Fleet, name: string): string[] {
  const parties = partiesOf(fleet);
  const links = linksAt(fleet, parties, undefined);
  const accounts = parties.map((party) => accountOf(party, usersInMiddle(fleet, party), links));
  return [
    ...headOf(fleet, name),
    ...jetStreamText(fleet),
    ...clusterText(fleet),
    ...sitesText(fleet),
    ...reachingText(accountsAtSites(fleet, parties)),
    ...accountsText(accounts),
  ];
}

/** Without this, a server passes no request to JetStream through a leaf connection, even if it has no JetStream itself. */
const reachingText = (accounts: readonly string[]): string[] =>
  accounts.length === 0 ? [] : ['default_js_domain {', ...accounts.map((account) => `  ${quoted(account)}: ""`), '}'];

/** One connection for each account; the seed of its key is in a file beside the configuration. */
function remoteText(fleet: Fleet, account: string, host: string): string[] {
  const scheme = fleet.tls === 'off' ? 'nats-leaf' : 'tls';
  const urls = fleet.servers.map(({ address }) => quoted(`${scheme}://${withPort(address, fleet.ports.sites)}`));
  return [
    '{',
    `  urls: [${urls.join(', ')}]`,
    `  account: ${quoted(account)}`,
    `  # one line: nkey: <the seed of the link of ${host}>, or in operator mode: credentials: "/etc/nats/links/${host}.creds"`,
    `  include "./links/${host}.conf"`,
    ...indented(tlsText(fleet)),
    '}',
  ];
}

function siteText(fleet: Fleet, site: string): string[] {
  const parties = partiesOf(fleet).filter((party) => siteOf(fleet, party) === site);
  const links = linksAt(fleet, parties, site);
  const accounts = parties.map((party) => {
    const host = fleetHostOf(fleet, party);
    return accountOf(party, host ? [userText(host, party.permissions.subscribe)] : [], links);
  });
  return [
    ...headOf(fleet, site),
    ...reachingText(parties.map(({ account }) => account)),
    'leafnodes {',
    '  remotes: [',
    ...parties.flatMap(({ account, host = '' }) => indented(remoteText(fleet, account, host), 4)),
    '  ]',
    '}',
    ...accountsText(accounts),
  ];
}

/** The complete configuration of every server of a fleet. */
export const serverFiles = (fleet: Fleet): ServerFile[] => [
  ...fleet.servers.map(({ name }) => ({ server: name, text: `${middleText(fleet, name).join('\n')}\n` })),
  ...fleet.sites.map(({ name }) => ({ server: name, text: `${siteText(fleet, name).join('\n')}\n` })),
];
