import type { KV } from '@nats-io/kv';
import { expect, test } from 'vitest';
import { isGone, openBucket, stateOf } from '../../../lib/bus/jetstream/kv-bucket.ts';
import { createMissing, putOrCreate } from '../../../lib/bus/jetstream/put-or-create.ts';
import { openStatusStore } from '../../../lib/bus/status/store.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import { useBus } from '../../support/bus.ts';
import { ownNatsServer, useNatsServer } from '../../support/nats-server.ts';

const server = useNatsServer({ jetstream: true });
const wishes = { description: 'a test' };

test.each<[string, string, (kv: KV) => Promise<unknown>]>([
  ['a write', 'written', (kv) => kv.put('a', 'b')],
  ['a read', 'read', async (kv) => (await kv.get('a')) === null],
])('%s to a bucket that is missing creates it, once', async (_, name, use) => {
  const bus = await useBus(server().url);
  let created = 0;
  const create = async () => {
    created += 1;
    return createMissing(bus, name, wishes);
  };
  for (let time = 0; time < 2; time += 1) expect(await putOrCreate(bus, name, use, create)).toBeTruthy();
  expect([created, await createMissing(bus, name, wishes)]).toEqual([1, false]);
});

test('what a bucket refuses that is there is no reason to create it', async () => {
  const bus = await useBus(server().url);
  await createMissing(bus, 'there', wishes);
  const none = async (): Promise<boolean> => Promise.reject(new Error('created'));
  await expect(putOrCreate(bus, 'there', (kv) => kv.update('a', 'b', 7), none)).rejects.toMatchObject({ code: 10071 });
});

test('without leave to create it fails as it failed first', async () => {
  const bus = await useBus(server().url);
  const failed = await putOrCreate(
    bus,
    'never',
    (kv) => kv.get('a'),
    async () => false,
  ).catch((error) => error);
  expect(isGone(failed)).toBe(true);
  expect(await stateOf(await openBucket(bus, 'never'))).toBeUndefined();
});

test('a bucket that another process creates meanwhile is used', async () => {
  const bus = await useBus(server().url);
  const byAnother = async () => {
    await createMissing(bus, 'raced', wishes);
    return createMissing(bus, 'raced', wishes);
  };
  expect(await putOrCreate(bus, 'raced', (kv) => kv.get('a'), byAnother)).toBeNull();
});

test('an outage during the first write of the status does not keep the later ones away', async () => {
  const own = await ownNatsServer({ jetstream: true });
  const bus = await useBus(own.url);
  const store = openStatusStore(bus);
  const entry = { written: '2026-01-01T00:00:00Z' } as StatusEntry;
  await own.kill();
  await expect.poll(() => bus.connected).toBe(false);
  await expect(store.put('a.to.b.c', entry)).rejects.toThrow();
  await own.restart();
  await expect.poll(() => bus.connected).toBe(true);
  await expect
    .poll(() =>
      store.put('a.to.b.c', entry).then(
        () => 'written',
        ({ code }) => code,
      ),
    )
    .toBe('written');
});
