import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bus, connectBus } from '../../../lib/bus/connection/connect.ts';
import { policiesBucket, subjects } from '../../../lib/bus/subjects.ts';
import { type NatsServer, startNatsServer } from '../../../tools/nats-server/start.ts';
import { type AccountFleet, makeAccountFleet } from '../../support/account-fleet.ts';
import { useBus } from '../../support/bus.ts';
import { useFleet } from '../../support/fleet.ts';
import { makeFleetBuckets } from '../../support/fleet-buckets.ts';
import {
  expectCommands,
  expectNothingRefused,
  expectSeesLocks,
  expectSends,
  runZpsend,
  useGrantedFleet,
  useGrantedHost,
} from '../../support/granted-fleet.ts';

/** alfa sends, carl receives, and bravo does both. */
const hosts = {
  alfa: { roles: ['sender'] },
  carl: { roles: ['receiver'], from: ['alfa'] },
  bravo: { from: ['alfa'] },
} satisfies Parameters<typeof makeAccountFleet>[0]['hosts'];
const names = Object.keys(hosts);

let accounts: AccountFleet;
let server: NatsServer;

const envOf = (name: string): NodeJS.ProcessEnv => ({ NATS_URL: server.url, ...accounts.env[name] });
const as = (name: string): Promise<Bus> => useBus(server.url, { host: name, env: envOf(name) });

beforeAll(async () => {
  accounts = await makeAccountFleet({ hosts });
  server = await startNatsServer({ config: accounts.configs['nats-1'] ?? '' });
  const admin = await connectBus({ name: 'ops', env: envOf('ops'), wait: false });
  await makeFleetBuckets(admin, { sources: ['alfa', 'bravo'], policyTarget: 'carl', keepsEntries: false });
  await admin.close();
});
afterAll(async () => {
  await server?.stop();
  await accounts?.remove();
});

test('through accounts hosts send, fan out, store, fetch, lock, answer requests and get events and policies', async () => {
  const fleet = await useGrantedFleet({ server, envOf }, 'ops', { source: 'alfa', target: 'carl', both: 'bravo' });
  await expectSends(fleet);
  await expectSeesLocks(fleet, await as('carl'));
  const [, listed] = await expectCommands(fleet, [
    ['verify', '--data', 'pool/a', 'carl'],
    ['hosts'],
    ['snapshots', 'bravo'],
    ['plan', 'pool/a', 'bravo'],
    ['store', 'ls', 'alfa'],
    ['status', '--json'],
    ['doctor'],
  ]);
  for (const host of names) expect(listed).toContain(host);
  // a viewer gives no orders
  for (const argv of [['hosts'], ['snapshots', 'bravo'], ['status', '--json'], ['locks']]) {
    const { exitCode, stderr, stdout } = await runZpsend({ ZPSEND_HOST: 'looker', ...envOf('looker') }, argv);
    expect([argv[0], exitCode, stderr.includes('ermission')]).toEqual([argv[0], 0, false]);
    if (argv[0] === 'hosts') for (const host of names) expect(stdout).toContain(host);
  }
  await expectNothingRefused(fleet);
  // a command without an inbox prefix finds out its host by where its answers may come
  const unnamed = await fleet.zpsend(['verify', '--data', 'pool/a', 'carl'], { ZPSEND_INBOX_PREFIX: '' });
  expect([unnamed.exitCode, unnamed.stderr]).toEqual([0, '']);
}, 180_000);

test('through accounts a policy that is put and deleted while a sender runs comes into force and goes', async () => {
  const fleet = await useFleet(server.url, { host: 'ops', env: envOf('ops') });
  const [source, target] = [await useGrantedHost(fleet, 'alfa'), await useGrantedHost(fleet, 'carl')];
  for (const name of ['pool/b', 'pool/c']) await source.zfs('create', name);
  await fleet.start('receiver', target, { ...envOf('carl'), ZPSEND_ALLOW: '*=pool' });
  const sender = await fleet.start('sender', source, { ...envOf('alfa'), ZPSEND_ALLOW: '*=pool' });
  await expect.poll(() => sender.lines('policy.active').at(-1)?.policies, { timeout: 20_000 }).toEqual(['alfa.b']);
  const policies = await new Kvm(jetstream(fleet.bus.nc)).open(policiesBucket);
  const snapshot = async (name: string) => {
    await source.zfs('snapshot', name);
    fleet.bus.nc.publish(subjects.snapshotCreated('alfa'), name);
  };
  const arrived = (dataset: string, names: string) =>
    expect
      .poll(() => target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', dataset).catch(() => ''), {
        timeout: 60_000,
      })
      .toBe(names);
  const activePolicies = () => sender.lines('policy.active').at(-1)?.policies;
  const areActive = (...names: string[]) => expect.poll(activePolicies, { timeout: 60_000 }).toEqual(names);

  await policies.put('alfa.c', JSON.stringify({ dataset: 'pool/c', to: ['carl'] }));
  await areActive('alfa.b', 'alfa.c');
  await snapshot('pool/c@1');
  await arrived('pool/c', 'pool/c@1');

  await policies.delete('alfa.c');
  await areActive('alfa.b');
  await snapshot('pool/c@2');
  // events come in their order
  await snapshot('pool/b@2');
  await arrived('pool/b', 'pool/b@2');
  await arrived('pool/c', 'pool/c@1');
}, 180_000);
