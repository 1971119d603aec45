import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startNatsServer } from '../../../tools/nats-server/start.ts';
import { useFleet } from '../../support/fleet.ts';
import { freePort } from '../../support/free-port.ts';

/** A proxy to a port. It breaks once, at the first bytes of a stream, and accepts connections again at once. */
async function useFragileLink(port: number) {
  let breaks = 0;
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const part = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', () => {}).on('close', part);
    near.on('data', (chunk) => {
      const isStream = chunk.includes('zfs-data.') && chunk.length > 3000;
      if (breaks > 0 || !isStream) return far.write(chunk);
      breaks += 1;
      return part();
    });
    far.pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, breaks: () => breaks };
}

test('I9: what is lost between two servers, while both hosts stay connected, is noticed and sent again', async () => {
  const leafPort = await freePort();
  await using hub = await startNatsServer({
    jetstream: true,
    config: `leafnodes { listen: "127.0.0.1:${leafPort}" }`,
  });
  const link = await useFragileLink(leafPort);
  await using leaf = await startNatsServer({
    config: `leafnodes { remotes: [ { url: "nats://127.0.0.1:${link.port}" } ] }`,
  });
  const [atHub, atLeaf] = [await useFleet(hub.url), await useFleet(leaf.url)];
  const [source, target] = await Promise.all([atHub.host('smos-01'), atHub.host('smos-00')]);
  await Promise.all([source, target].map((host) => host.zpool('create', 'zones')));
  await source.zfs('create', 'zones/test');
  await source.zfs('set', 'zfs-sim:write=200000', 'zones/test');
  await source.zfs('snapshot', 'zones/test@one');
  await atHub.start('receiver', target, { ZPSEND_ALLOW: '*=zones' });
  await atLeaf.start('sender', source);
  // the leaf learns of the hub's subscriptions a little later
  await expect
    .poll(() => atLeaf.begin('smos-01', { dataset: 'zones/none', to: { host: 'smos-00' } }).catch(() => ''))
    .not.toBe('');
  const job = await atLeaf.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(link.breaks()).toBe(1);
  expect(job).toMatchObject({ state: 'done', done: 1 });
});
