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

test('a fleet that names servers, admins and hosts is one', () => {
  expect(read(good)).toMatchObject({ tls: { ca: '/etc/nats/ca.pem' }, buckets: { lockSeconds: 30 }, sites: [] });
});

test.each<[string, object, RegExp]>([
  ['a field that is none', { ...good, host: {} }, /\(top\): .*"host"/],
  [
    'a key that is none',
    { ...good, admins: { ops: { nkey: 'UX' } } },
    /admins\.ops\.nkey: not the public key .*found "UX"/,
  ],
  [
    'a role that is none',
    { ...good, hosts: { alfa: { nkey: nkey('B'), roles: ['send'] } } },
    /hosts\.alfa\.roles\.0: /,
  ],
  ['neither key nor password', { ...good, admins: { ops: {} } }, /admins\.ops: needs nkey, or user and password/],
  [
    'a user without a password',
    { ...good, admins: { ops: { user: 'ops' } } },
    /admins\.ops: needs nkey, or user and password/,
  ],
  ['both', { ...good, admins: { ops: { nkey: nkey('A'), user: 'x', password: 'y' } } }, /admins\.ops: has nkey, and/],
  ['no admin', { ...good, admins: {} }, /admins: names none/],
  ['no host', { ...good, hosts: {} }, /hosts: names none/],
  ['a host name that is none', { ...good, hosts: { 'a.b': { nkey: nkey('B') } } }, /hosts\.a\.b: /],
  ['a key given twice', { ...good, hosts: { alfa: { nkey: nkey('A') } } }, /the key UA+ is given twice/],
  ['a name given twice', { ...good, viewers: { alfa: { nkey: nkey('D') } } }, /the name alfa is given twice/],
  [
    'a source that is no host',
    { ...good, hosts: { carl: { nkey: nkey('C'), from: ['dora'] } } },
    /hosts\.carl\.from\.0: dora is no host here that sends/,
  ],
  [
    'orders to a host that does not send',
    { ...good, hosts: { ...good.hosts, carl: { nkey: nkey('C'), orders: ['dora'] } } },
    /hosts\.carl\.orders\.0: dora is no host here that sends/,
  ],
  [
    'a source that does not send',
    { ...good, hosts: { alfa: { nkey: nkey('B'), roles: ['receiver'] }, carl: good.hosts.carl } },
    /hosts\.carl\.from\.0: alfa/,
  ],
  [
    'a sender that fetches',
    { ...good, hosts: { alfa: { nkey: nkey('B'), roles: ['sender'], from: ['alfa'] } } },
    /hosts\.alfa\.from: is for a host that receives/,
  ],
  [
    'a site that is none',
    { ...good, hosts: { alfa: { nkey: nkey('B'), site: 'x', link: nkey('D') } } },
    /hosts\.alfa\.site: there is no site x/,
  ],
  [
    'a host at a site without a link',
    { ...good, sites: [{ name: 'x', address: 'x' }], hosts: { alfa: { nkey: nkey('B'), site: 'x' } } },
    /hosts\.alfa\.link: a host at a site needs it/,
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
  [
    'two servers of a name',
    { ...good, servers: [...good.servers, ...good.servers] },
    /servers: the name nats-1 is given twice/,
  ],
])('%s is refused with its field', (_what, fleet, words) => {
  expect(() => read(fleet)).toThrow(words);
});

test.each(['nats-1', 'nats_1.example', '10.0.0.1', '::1', 'fd00::2:4222', '::ffff:10.0.0.1'])(
  'the address %s is one',
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
