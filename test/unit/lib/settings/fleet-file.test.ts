import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { readFleet } from '../../../../lib/settings/fleet-file.ts';

const nkey = (letter: string) => `U${letter.repeat(55)}`;
const good = {
  servers: [{ name: 'nats-1', address: 'nats-1.example' }],
  admins: { ops: { nkey: nkey('A') } },
  hosts: {
    alfa: { nkey: nkey('B'), roles: ['sender'] },
    carl: { nkey: nkey('C'), roles: ['receiver'], from: ['alfa'] },
  },
};

function read(fleet: object) {
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-fleet-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'fleet.yaml');
  writeFileSync(file, stringify(fleet));
  return readFleet(file);
}

test('a fleet with servers, admins and hosts is valid', () => {
  expect(read(good)).toMatchObject({ tls: { ca: '/etc/nats/ca.pem' }, buckets: { lockSeconds: 30 }, sites: [] });
});

test.each<[string, object, RegExp]>([
  ['an unknown field', { ...good, host: {} }, /\(top\): .*"host": did you mean hosts\?/],
  ['a size without a unit', { ...good, buckets: { storeSize: '9X' } }, /buckets\.storeSize: .*K, M, G.*found "9X"/],
  [
    'an invalid key',
    { ...good, admins: { ops: { nkey: 'UX' } } },
    /admins\.ops\.nkey: not the public key .*found "UX"/,
  ],
  ['an unknown role', { ...good, hosts: { alfa: { nkey: nkey('B'), roles: ['send'] } } }, /hosts\.alfa\.roles\.0: /],
  ['neither key nor password', { ...good, admins: { ops: {} } }, /admins\.ops: needs nkey, or user and password/],
  [
    'a user without a password',
    { ...good, admins: { ops: { user: 'ops' } } },
    /admins\.ops: needs nkey, or user and password/,
  ],
  ['both', { ...good, admins: { ops: { nkey: nkey('A'), user: 'x', password: 'y' } } }, /admins\.ops: has nkey, and/],
  ['no admin', { ...good, admins: {} }, /admins: /],
  ['no host', { ...good, hosts: {} }, /hosts: names none/],
  ['an invalid host name', { ...good, hosts: { 'a.b': { nkey: nkey('B') } } }, /hosts\.a\.b: /],
  ['a repeated key', { ...good, hosts: { alfa: { nkey: nkey('A') } } }, /the key UA+ /],
  ['a repeated name', { ...good, viewers: { alfa: { nkey: nkey('D') } } }, /the name alfa /],
  [
    'a source that is not a host',
    { ...good, hosts: { carl: { nkey: nkey('C'), from: ['dora'] } } },
    /hosts\.carl\.from\.0: dora /,
  ],
  [
    'orders to a host that does not send',
    { ...good, hosts: { ...good.hosts, carl: { nkey: nkey('C'), orders: ['dora'] } } },
    /hosts\.carl\.orders\.0: dora /,
  ],
  [
    'a source that does not send',
    { ...good, hosts: { alfa: { nkey: nkey('B'), roles: ['receiver'] }, carl: good.hosts.carl } },
    /hosts\.carl\.from\.0: alfa/,
  ],
  [
    'from for a host that only sends',
    { ...good, hosts: { alfa: { nkey: nkey('B'), roles: ['sender'], from: ['alfa'] } } },
    /hosts\.alfa\.from: /,
  ],
  [
    'an unknown site',
    { ...good, hosts: { alfa: { nkey: nkey('B'), site: 'x', link: nkey('D') } } },
    /hosts\.alfa\.site: .*\bx$/m,
  ],
  [
    'a host at a site without a link',
    { ...good, sites: [{ name: 'x', address: 'x' }], hosts: { alfa: { nkey: nkey('B'), site: 'x' } } },
    /hosts\.alfa\.link: /,
  ],
  ...['127.0.0.1:34999', 'nats-1.example:4222', '[::1]:4222', '[::1]', 'nats://nats-1.example', '::1%lo', ''].map(
    (address): [string, object, RegExp] => [
      `the address ${JSON.stringify(address)} of a server`,
      { ...good, servers: [{ name: 'nats-1', address }] },
      new RegExp(`servers\\.0\\.address: not a host .*"ports".*${JSON.stringify(address).replace(/[[\]]/g, '\\$&')}`),
    ],
  ),
  [
    'an address with a port of a site',
    { ...good, sites: [{ name: 'x', address: 'x:7422' }] },
    /sites\.0\.address: not a host name or an address without a port/,
  ],
  ['two servers with one name', { ...good, servers: [...good.servers, ...good.servers] }, /servers: the name nats-1 /],
])('%s is refused with its field', (_what, fleet, words) => {
  expect(() => read(fleet)).toThrow(words);
});

test.each(['nats-1', 'nats_1.example', '10.0.0.1', '::1', 'fd00::2:4222', '::ffff:10.0.0.1'])(
  'the address %s is valid',
  (address) => expect(read({ ...good, servers: [{ name: 'nats-1', address }] }).servers[0]?.address).toBe(address),
);

test('no password is shown', () => {
  const secret = 'correct horse';
  const users = [
    { user: 'ops', password: secret, more: 1 },
    { user: 'ops', password: { secret } },
    { user: 'ops', password: secret.repeat(99) },
  ];
  for (const ops of users) expect(() => read({ ...good, admins: { ops } })).toThrow(/^(?!.*correct)/s);
});
