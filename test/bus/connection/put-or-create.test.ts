import type { KV } from '@nats-io/kv';
import { expect, test } from 'vitest';
import { isGone, openBucket, stateOf } from '../../../lib/bus/jetstream/kv-bucket.ts';
import { createMissing, putOrCreate } from '../../../lib/bus/jetstream/put-or-create.ts';
import { useBus } from '../../support/bus.ts';
import { useNatsServer } from '../../support/nats-server.ts';

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
