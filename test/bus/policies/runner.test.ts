import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { request } from '../../../lib/bus/rpc/request.ts';
import { eventsStream, subjects } from '../../../lib/bus/subjects.ts';
import { policiesSchema } from '../../../schemas/policy.ts';
import { configured } from '../../support/configured.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';
import { rested, type Triggered, useTriggered } from '../../support/triggered.ts';

const natsUrl = useNatsAccounts();
const toDst = { dataset: 'pool/a', to: ['dst'] };

const only = ({ targets: [target] }: Triggered): SimHost => {
  if (!target) throw new Error('no target');
  return target;
};
const statusOf = ({ fleet }: Triggered) => request(fleet.bus, subjects.send('src', 'policies'), {}, policiesSchema);
const consumer = async ({ fleet }: Triggered) =>
  (await jetstreamManager(fleet.bus.nc)).consumers.info(eventsStream, 'src');

test.each([
  ['plain text', (name: string) => name],
  ['JSON', (name: string) => JSON.stringify({ snapshot: name })],
])('a snapshot that is announced as %s arrives; a check that finds nothing is not logged', async (_what, body) => {
  const world = await useTriggered(natsUrl(), 'dst');
  await world.snapshot('1', 'silent');
  const sender = await world.sender([toDst]);
  await world.arrived(only(world), '1');
  await rested(world);
  await world.snapshot('2', 'silent');
  const seeded = sender.lines('step.needed').length;
  world.announce(body('pool/a@2'));
  await world.arrived(only(world), '1', '2');
  await rested(world);
  expect(sender.lines('step.needed')).toHaveLength(seeded + 1);
  expect(sender.lines('step.needed').at(-1)).toMatchObject({ snapshot: 'pool/a@2' });
  const before = [sender.log.length, world.started.length];
  world.announce(body('pool/a@2'));
  await expect.poll(() => world.started.length).toBe((before[1] ?? 0) + 1);
  await rested(world);
  expect(sender.log.slice(before[0])).toEqual([]);
  await expect.poll(async () => (await consumer(world)).num_ack_pending).toBe(0);
});

test('a burst of 500 is one job for each tree and target, or two', async () => {
  const world = await useTriggered(natsUrl(), 'dst', 'site-b');
  for (let at = 0; at < 4; at += 1) await world.source.zfs('create', `pool/a/${at}`);
  await world.sender([{ ...toDst, recursive: true, to: ['dst', 'site-b'] }]);
  await rested(world);
  await expect.poll(() => world.started.length).toBe(2);
  await world.source.zfs('snapshot', '-r', 'pool/a@burst');
  for (let at = 0; at < 500; at += 1) {
    world.announce(`pool/a/${at % 4}@burst`);
    // a burst lasts a moment
    if (at % 50 === 49) await sleep(20);
  }
  for (const target of world.targets) await world.arrived(target, 'burst');
  await rested(world);
  expect(world.started.length).toBeGreaterThanOrEqual(4);
  expect(world.started.length).toBeLessThanOrEqual(6);
  // one read for both targets
  const sends = (await world.source.processes()).filter(
    ({ argv: [, verb, ...rest] }) => verb === 'send' && !/n/.test(rest[0] ?? ''),
  );
  expect(sends.length).toBeLessThanOrEqual(5 + 1);
});

test('an event without a running sender reaches the next one', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  const first = await world.sender([toDst]);
  await rested(world);
  await expect.poll(async () => (await consumer(world)).num_waiting).toBeGreaterThan(0);
  await first.end('SIGTERM');
  await world.snapshot('1');
  await expect.poll(async () => (await consumer(world)).num_pending).toBe(1);
  await world.sender([toDst]);
  await world.arrived(only(world), '1');
  await expect.poll(async () => (await consumer(world)).num_pending).toBe(0);
});

test('a snapshot without an event is found by the regular check', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  await world.sender([toDst], { reconcileMinutes: 0.05 });
  await rested(world);
  await world.snapshot('1', 'silent');
  await world.arrived(only(world), '1');
});

test('garbage, foreign hosts and datasets without a policy start nothing and break nothing', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  await world.source.zfs('create', 'pool/other');
  const sender = await world.sender([toDst]);
  await rested(world);
  const before = world.started.length;
  for (const body of [
    '',
    '   ',
    '{',
    '[]',
    '{"snapshot":1}',
    '{"snapshot":"pool/a@1","x":1}',
    'pool/a',
    '-rf@x',
    'pool/a@b@c',
    '\0\xff',
  ])
    world.announce(body);
  world.announce('pool/other@1');
  world.announce('pool/a/below@1');
  world.announce('pool/a@1', 'another-host');
  await world.fleet.bus.nc.flush();
  await sender.logged('snapshot-event.malformed');
  await expect.poll(async () => (await consumer(world)).num_pending).toBe(0);
  expect(sender.lines('snapshot-event.malformed')).toHaveLength(1);
  await world.snapshot('1');
  await world.arrived(only(world), '1');
  await rested(world);
  // the job of that snapshot alone
  expect(world.started.length).toBe(before + 1);
});

test('a receiver that is absent gets it when it comes, and does not hold up the other', async () => {
  const world = await useTriggered(natsUrl(), 'dst', '-late');
  const sender = await world.sender([{ ...toDst, to: ['dst', 'late'] }]);
  await world.snapshot('1');
  const [dst, late] = world.targets as [SimHost, SimHost];
  await world.arrived(dst, '1');
  const { policy = '' } = await sender.logged('policy.retried', { code: 'UNREACHABLE' });
  await world.snapshot('2');
  await world.arrived(dst, '1', '2');
  await world.fleet.start('receiver', late, { ZPSEND_ALLOW: '*=pool' });
  await world.arrived(late, '1', '2');
  await sender.logged('policy.recovered', { policy });
  expect(sender.lines('policy.retried')).toHaveLength(1);
});

test('a refusal is logged once and tried again at the next snapshot, and other policies continue', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  await world.source.zfs('create', 'pool/b');
  const sender = await world.sender([toDst, { dataset: 'pool/b', to: ['dst:elsewhere/b'] }]);
  const failed = ['policy.failed', { code: 'NO_SUCH_DATASET', policy: 'pool/b to dst:elsewhere/b' }] as const;
  await sender.logged(...failed);
  for (const name of ['1', '2']) {
    await world.source.zfs('snapshot', `pool/b@${name}`);
    const before = world.started.length;
    world.announce(`pool/b@${name}`);
    await expect.poll(() => world.started.length).toBeGreaterThan(before);
    await world.snapshot(name);
  }
  await world.arrived(only(world), '1', '2');
  await rested(world);
  expect(sender.lines(...failed)).toHaveLength(1);
  const { policies } = await statusOf(world);
  expect(policies.map(({ name, targets }) => [name, targets[0]?.error?.code])).toEqual([
    ['send.policies.0', undefined],
    ['send.policies.1', 'NO_SUCH_DATASET'],
  ]);
});

test('the stream is made again when it is lost', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  const sender = await world.sender([toDst]);
  await rested(world);
  await expect.poll(async () => (await consumer(world)).num_waiting).toBeGreaterThan(0);
  const manager = await jetstreamManager(world.fleet.bus.nc);
  await manager.streams.delete(eventsStream);
  await sender.logged('snapshot-event.not-kept');
  await world.snapshot('1');
  await world.arrived(only(world), '1');
  await sender.logged('snapshot-event.kept-again');
  await world.snapshot('2');
  await world.arrived(only(world), '1', '2');
});

test.each<[string, object[], string[]]>([
  ['a dataset into itself', [{ dataset: 'pool/a', to: ['src'] }], ['send.policies.0', 'pool/a']],
  ['a dataset into what lies in it', [{ dataset: 'pool/a', to: ['src:pool/a/b'] }], ['send.policies.0', 'pool/a/b']],
  [
    'a circle on one host',
    [
      { dataset: 'pool/a', to: ['src:pool/b'] },
      { dataset: 'pool/b', to: ['src:pool/a'] },
    ],
    ['send.policies.1'],
  ],
  ['a word too much', [{ ...toDst, when: 'daily' }], ['send.policies.0', 'when']],
])('a file that sends %s starts nothing, and the log has the reason', async (_what, policies, facts) => {
  const world = await useTriggered(natsUrl());
  const file = configured(JSON.stringify({ send: { policies } }));
  const sender = await world.fleet.start('sender', world.source, file, { waitReady: false });
  await expect(sender.logged('service.ready')).rejects.toThrow(/^sender ended \(2\)/);
  expect(sender.log.join('\n')).toEqual(mentions(...facts));
});
