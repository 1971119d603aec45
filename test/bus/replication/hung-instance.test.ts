import { expect, onTestFinished, test } from 'vitest';
import { requestInventory } from '../../../lib/bus/rpc/inventory-parts.ts';
import { useFleet } from '../../support/fleet.ts';
import { ownNatsServer } from '../../support/nats-server.ts';

test('a stopped instance keeps no listing waiting: another one of its queue group answers', async () => {
  // the pings of deploy/nats, and both times here, a tenth as long
  const server = await ownNatsServer({ jetstream: true, config: 'ping_interval: 1s\nping_max: 2' });
  const fleet = await useFleet(server.url);
  const host = await fleet.host('smos-00');
  await host.zpool('create', 'tank');
  const allow = { ZPSEND_ALLOW: '*=tank' };
  const [stopped] = [await fleet.start('receiver', host, allow), await fleet.start('receiver', host, allow)];
  process.kill(stopped.pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(stopped.pid, 'SIGCONT'));
  const began = performance.now();
  const ask = () => requestInventory(fleet.bus, 'smos-00', {}, { againMs: 1000 });
  const all = await Promise.all(Array.from({ length: 6 }, ask));
  expect(all.map(({ datasets }) => datasets.map(({ name }) => name))).toEqual(all.map(() => ['tank']));
  // far below the silence that a listing may have, 60 s
  expect(performance.now() - began).toBeLessThan(30_000);
});
