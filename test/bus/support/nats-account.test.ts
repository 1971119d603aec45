import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { expect, test } from 'vitest';
import { useBus } from '../../support/bus.ts';
import { newNatsAccount, useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();

// what lets tests run side by side on one server
test('accounts of one worker are on one server, and share no messages and no buckets', async () => {
  const urls = [natsUrl(), await newNatsAccount()];
  expect(new Set(urls.map((url) => new URL(url).port)).size).toBe(1);
  const [one, other] = await Promise.all(urls.map((url) => useBus(url)));
  if (!one || !other) throw new Error('two accounts');
  const received: string[] = [];
  for (const bus of [one, other]) {
    bus.nc.subscribe('zfs.>', { callback: (_, message) => void received.push(message.string()) });
    await bus.nc.flush();
  }
  one.nc.publish('zfs.a.event', 'of one');
  await one.nc.flush();
  other.nc.publish('zfs.a.event', 'of the other');
  await expect.poll(() => received).toEqual(['of one', 'of the other']);
  await new Kvm(jetstream(one.nc)).create('trial', { history: 1 });
  expect(await (await jetstreamManager(other.nc)).getAccountInfo()).toMatchObject({ streams: 0 });
});

test('a worker that has used all accounts of a server gets another server', async () => {
  const urls = [natsUrl()];
  for (let asked = 0; asked < 64; asked += 1) urls.push(await newNatsAccount());
  expect(new Set(urls).size).toBe(65);
  expect(new Set(urls.map((url) => new URL(url).port)).size).toBe(2);
});
