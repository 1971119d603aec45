import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SendRequest } from '../../schemas/request.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(384 * MIB);
/** The origin's host takes what comes back to it. */
let services: ServiceProcess[] = [];
beforeAll(async () => {
  const allowed = { ZPSEND_ALLOW: `*=${z.target},*=${z.source}` };
  services = await Promise.all([
    startHere(z, server().url, 'receiver', 'smos-00', allowed),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});
beforeEach(fast);

const send = async (dataset: string, to: string, more: Partial<SendRequest> = {}) =>
  (await useFleet(server().url)).send('smos-01', { dataset, to: { host: 'smos-00', dataset: to }, ...more });
/** A file of large blocks that is gone again: nothing but the feature stays. */
function touchLarge(dataset: string): void {
  z.ok('set', 'recordsize=1M', dataset);
  const file = join(z.value('mountpoint', dataset), 'large');
  writeFileSync(file, Buffer.alloc(2 * MIB, 'x'));
  z.zpool('sync');
  rmSync(file);
  z.zpool('sync');
}
const noLargeBlock = { state: 'failed', error: { code: 'UNSUPPORTED', message: mentions('--full') } };

test('edge case 30: a replica with large blocks as a feature only comes back under a new name, and after one large write to its origin (openzfs#18101)', async () => {
  const [origin, replica] = [`${z.source}/origin`, `${z.target}/replica`];
  z.ok('create', origin);
  touchLarge(origin);
  z.write(origin, 50_000);
  z.ok('snapshot', `${origin}@1`);
  expect(await send(origin, replica)).toMatchObject({ state: 'done', done: 1 });
  expect(z.value('zpsend:stream', replica)).toContain('large-block');
  z.ok('set', 'readonly=off', replica);
  z.write(replica, 50_000);
  z.ok('snapshot', `${replica}@2`);

  // later releases give the replica the feature as it is received, and then it simply goes back
  const back = await send(replica, origin);
  if (back.state === 'failed') {
    expect(back).toMatchObject(noLargeBlock);
    expect(await send(replica, origin, { stream: { largeBlock: true } })).toMatchObject(noLargeBlock);
    expect(await send(`${replica}@2`, `${origin}-2`, { full: true })).toMatchObject({ state: 'done', done: 1 });
    expect(z.digest(`${origin}-2@2`)).toBe(z.digest(`${replica}@2`));

    z.ok('set', 'recordsize=1M', replica);
    z.write(replica, 2 * MIB);
    z.ok('snapshot', `${replica}@3`);
    const advised = { from: '@1', stream: { largeBlock: true } };
    expect(await send(`${replica}@3`, origin, advised)).toMatchObject({ state: 'done', done: 1 });
    expect(z.digest(`${origin}@3`)).toBe(z.digest(`${replica}@3`));
  }
  // and so it continues, in both directions
  z.write(replica, 50_000);
  z.ok('snapshot', `${replica}@4`);
  expect(await send(replica, origin)).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${origin}@4`)).toBe(z.digest(`${replica}@4`));
  z.ok('set', 'readonly=off', origin);
  z.write(origin, 50_000);
  z.ok('snapshot', `${origin}@5`);
  expect(await send(origin, replica)).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${replica}@5`)).toBe(z.digest(`${origin}@5`));
});

test('edge case 30: a replica whose large blocks were split comes back only under a new name, and --large-block is refused', async () => {
  const [origin, replica] = [`${z.source}/whole`, `${z.target}/split`];
  z.ok('create', '-o', 'recordsize=1M', origin);
  z.write(origin, 2 * MIB);
  z.ok('snapshot', `${origin}@1`);
  expect(await send(origin, replica, { stream: { largeBlock: false } })).toMatchObject({ state: 'done', done: 1 });
  for (const property of ['readonly=off', 'recordsize=1M']) z.ok('set', property, replica);
  z.write(replica, 2 * MIB);
  z.ok('snapshot', `${replica}@2`);
  expect(await send(replica, origin)).toMatchObject(noLargeBlock);
  const asked = await send(replica, origin, { stream: { largeBlock: true } });
  expect(asked).toMatchObject({ state: 'failed', error: { code: 'UNSUPPORTED' } });
  expect(asked.error?.message).toEqual(mentions('openzfs#6224'));
  expect(z.ok('list', '-H', '-d', '1', '-t', 'snapshot', '-o', 'name', origin)).toEqual([`${origin}@1`]);
  expect(await send(`${replica}@2`, `${origin}-2`, { full: true })).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${origin}-2@2`)).toBe(z.digest(`${replica}@2`));
});
