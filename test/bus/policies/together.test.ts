import { expect, test } from 'vitest';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import type { SimHost } from '../../support/sim-host.ts';
import { rested, useTriggered } from '../../support/triggered.ts';

const natsUrl = useNatsAccounts();
const toDst = { dataset: 'pool/a', to: ['dst'] };

test('two senders of one host share the work, and a burst stays a job or two', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  const [dst] = world.targets as [SimHost];
  const senders = await Promise.all([world.sender([toDst]), world.sender([toDst])]);
  await world.snapshot('1');
  await world.arrived(dst, '1');
  await rested(world, ...senders);
  const before = world.started.length;
  await world.snapshot('2', 'silent');
  for (let at = 0; at < 200; at += 1) world.announce('pool/a@2');
  await world.arrived(dst, '1', '2');
  await rested(world, ...senders);
  // each may start a job before it knows of the other, and one more for later events
  expect(world.started.length - before).toBeLessThanOrEqual(4);
});

test('of two senders one is killed in the middle of it, and the other finishes', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  const [dst] = world.targets as [SimHost];
  const slow = { ZFS_SIM_SEND_RATE: '4M' };
  const senders = await Promise.all([world.sender([toDst], {}, slow), world.sender([toDst], {}, slow)]);
  await rested(world, ...senders);
  await world.source.zfs('set', 'zfs-sim:write=12000000', 'pool/a');
  await world.source.zfs('snapshot', 'pool/a@big');
  world.announce('pool/a@big');
  const first = await Promise.race(senders.map((sender) => sender.logged('step.ready').then(() => sender)));
  await world.snapshot('after');
  await first.end('SIGKILL');
  await world.arrived(dst, 'big', 'after');
}, 120_000);

test('a sender without JetStream gets events while it runs, logs that once, and finds other snapshots by its checks', async () => {
  const config = `authorization { users: [
    { user: all, password: pw }
    { user: sender, password: pw, permissions: { publish: { deny: "$JS.>" } } }
  ] }`;
  const limited = await ownNatsServer({ jetstream: true, config });
  const as = (user: string) => limited.url.replace('://', `://${user}:pw@`);
  const world = await useTriggered(as('all'), 'dst');
  const [dst] = world.targets as [SimHost];
  const env = { NATS_URL: as('sender') };
  const sender = await world.sender([toDst], { reconcileMinutes: 0.05 }, env);
  await sender.logged('snapshot-event.not-kept');
  await world.snapshot('1');
  await world.arrived(dst, '1');
  await world.snapshot('2', 'silent');
  await world.arrived(dst, '1', '2');
  expect(sender.lines('snapshot-event.not-kept')).toHaveLength(1);
});

test('snapshots without an event during an outage of NATS are found after it', async () => {
  const own = await ownNatsServer();
  const world = await useTriggered(own.url, 'dst');
  const [dst] = world.targets as [SimHost];
  const sender = await world.sender([toDst]);
  await world.snapshot('1');
  await world.arrived(dst, '1');
  await own.kill();
  await sender.logged('nats.lost');
  await world.snapshot('2', 'silent');
  await own.restart();
  await world.arrived(dst, '1', '2');
});
