import { ZpsendError } from '../../schemas/errors.ts';
import { type Fleet, type FleetHost, fleetFileSchema } from '../../schemas/fleet.ts';
import { faultOf } from '../../schemas/issue-words.ts';
import { readYaml } from './config-file.ts';

/** A fault between fields, which the schema cannot detect, with one of the fields. */
type Contradiction = readonly [field: string, words: string];

const twice = (names: readonly string[]): string[] => [
  ...new Set(names.filter((name, at) => names.indexOf(name) !== at)),
];

function hostFaults(fleet: Fleet, name: string, host: FleetHost): Contradiction[] {
  const at = `hosts.${name}`;
  const isSender = (other: string) => fleet.hosts[other]?.roles.includes('sender') === true;
  const sites = fleet.sites.map((site) => site.name);
  return [
    ...(host.from.length > 0 && !host.roles.includes('receiver')
      ? [[`${at}.from`, 'is only for a host with the role receiver'] as const]
      : []),
    ...host.from.flatMap((source, index): Contradiction[] => {
      if (isSender(source)) return [];
      return [[`${at}.from.${index}`, `${source} is not a host of this fleet with the role sender`]];
    }),
    ...host.orders.flatMap((source, index): Contradiction[] =>
      isSender(source) ? [] : [[`${at}.orders.${index}`, `${source} is not a host of this fleet with the role sender`]],
    ),
    ...(host.site !== undefined && !sites.includes(host.site)
      ? [[`${at}.site`, `sites has no site ${host.site}`] as const]
      : []),
    ...(host.site !== undefined && host.link === undefined
      ? [
          [
            `${at}.link`,
            'a host at a site needs it: the public key with which the site’s server connects for this host',
          ] as const,
        ]
      : []),
    ...(host.site === undefined && host.link !== undefined
      ? [[`${at}.link`, 'is only for a host at a site'] as const]
      : []),
  ];
}

function contradictions(fleet: Fleet): Contradiction[] {
  const { hosts, admins, viewers, servers, sites } = fleet;
  const users = { hosts, admins, viewers };
  const all = Object.entries(users).flatMap(([kind, of]) =>
    Object.entries(of).map(([name, user]) => ({ at: `${kind}.${name}`, name, user })),
  );
  const keys = [
    ...all.flatMap(({ user }) => user.nkey ?? (user.user === undefined ? [] : `user ${user.user}`)),
    ...Object.values(hosts).flatMap(({ link }) => link ?? []),
  ];
  const places = [...servers, ...sites];
  return [
    ...(Object.keys(hosts).length === 0 ? [['hosts', 'names none'] as const] : []),
    ...(Object.keys(admins).length === 0
      ? [['admins', 'names no admin, but an admin has to create the buckets'] as const]
      : []),
    ...all.flatMap(({ at, user: { nkey, user, password } }): Contradiction[] =>
      nkey === undefined
        ? user && password
          ? []
          : [[at, 'needs nkey, or user and password']]
        : user || password
          ? [[at, 'has nkey, and user or password besides']]
          : [],
    ),
    ...twice(all.map(({ name }) => name)).map((name): Contradiction => ['(top)', `the name ${name} is used twice`]),
    ...twice(keys).map((key): Contradiction => ['(top)', `the key ${key} is used twice`]),
    ...twice(places.map(({ name }) => name)).map(
      (name): Contradiction => ['servers', `the name ${name} is used twice`],
    ),
    ...Object.entries(hosts).flatMap(([name, host]) => hostFaults(fleet, name, host)),
  ];
}

/** The found word or number; nothing for a field that may contain a password. */
const shown = (path: readonly PropertyKey[], found: unknown): string =>
  ['string', 'number'].includes(typeof found) && path.at(-1) !== 'password'
    ? `; found ${JSON.stringify(found)?.slice(0, 100)}`
    : '';

/**
 * Reads and checks the fleet file.
 * @throws ZpsendError BAD_REQUEST naming each field, what is allowed and what was found
 */
export function readFleet(path: string): Fleet {
  const parsed = fleetFileSchema.safeParse(readYaml(path), { reportInput: true });
  const faults = parsed.success
    ? contradictions(parsed.data)
    : parsed.error.issues
        .map((issue) => faultOf(issue, fleetFileSchema))
        .map(
          ({ path: at, words, found, isKey }): Contradiction => [
            at.map(String).join('.') || '(top)',
            `${words}${isKey ? '' : shown(at, found)}`,
          ],
        );
  if (parsed.success && faults.length === 0) return parsed.data;
  const lines = faults.map(([field, words]) => `  ${field}: ${words}`);
  throw new ZpsendError('BAD_REQUEST', `${path} is not a valid fleet:\n${lines.join('\n')}`);
}
