import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { expect, onTestFinished, test, vi } from 'vitest';
import { onBucketWrites } from '../../../lib/bus/jetstream/watch-bucket.ts';
import { useBus } from '../../support/bus.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();

test('a put, a deletion, a purge, a deleted bucket and a new one are noticed without any of their messages', async () => {
  const bus = await useBus(natsUrl());
  const buckets = new Kvm(jetstream(bus.nc));
  const manager = await jetstreamManager(bus.nc);
  const make = () => buckets.create('trial', { history: 1 });
  const kv = await make();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  let noticed = 0;
  // no key is written that the subscription has
  onTestFinished(
    onBucketWrites(bus, 'trial', 'none', () => {
      noticed += 1;
    }),
  );
  const changes: [string, () => Promise<unknown>][] = [
    ['nothing yet', async () => {}],
    ['put', () => kv.put('a', '1')],
    ['another put', () => kv.put('b', '1')],
    ['overwritten', () => kv.put('b', '2')],
    ['another purged', () => manager.streams.purge('KV_trial', { filter: '$KV.trial.b' })],
    ['deleted', () => kv.delete('a')],
    ['purged', () => manager.streams.purge('KV_trial')],
    ['gone', () => manager.streams.delete('KV_trial')],
    ['made', make],
    ['made again', () => manager.streams.delete('KV_trial').then(make)],
  ];
  for (const [at, [what, change]] of changes.entries()) {
    await change();
    vi.advanceTimersByTime(15_000);
    await expect.poll(() => [what, noticed], { timeout: 10_000 }).toEqual([what, at + 1]);
  }
});
