import { jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { expect, test } from 'vitest';
import { policiesBucket } from '../../../lib/bus/subjects.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';
import { type Triggered, useTriggered } from '../../support/triggered.ts';

const natsUrl = useNatsAccounts();

/** The bucket as the sender has made it. */
async function bucketOf({ fleet }: Triggered): Promise<KV> {
  const kv = await new Kvm(jetstream(fleet.bus.nc)).open(policiesBucket);
  await expect
    .poll(
      () =>
        kv.status().then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    )
    .toBe(true);
  for (const key of ['src.a', 'src.b', 'dst.back', 'other.a']) await kv.purge(key);
  return kv;
}
const put = (kv: KV, key: string, value: unknown) =>
  kv.put(key, typeof value === 'string' ? value : JSON.stringify(value));

test('a policy in the bucket is added, changed and removed while all run', async () => {
  const world = await useTriggered(natsUrl(), 'dst', 'site-b');
  const [dst, other] = world.targets as [SimHost, SimHost];
  const sender = await world.sender([]);
  const kv = await bucketOf(world);
  await world.snapshot('1');
  await put(kv, 'src.a', { dataset: 'pool/a', to: ['dst'] });
  await world.arrived(dst, '1');
  await put(kv, 'src.a', { dataset: 'pool/a', to: ['dst', 'site-b'] });
  await world.arrived(other, '1');
  await world.snapshot('2');
  await world.arrived(dst, '1', '2');
  await world.arrived(other, '1', '2');
  await kv.delete('src.a');
  await expect.poll(() => sender.lines('policy.active').at(-1)?.policies, { timeout: 20_000 }).toEqual([]);
  const before = world.started.length;
  await world.snapshot('3');
  // events are handled in their order: this one starts a job after the one before has started none
  await world.source.zfs('create', 'pool/b');
  await put(kv, 'src.b', { dataset: 'pool/b', to: ['dst'] });
  await expect.poll(() => sender.lines('policy.active').at(-1)?.policies, { timeout: 20_000 }).toEqual(['src.b']);
  await world.source.zfs('snapshot', 'pool/b@1');
  world.announce('pool/b@1');
  await expect
    .poll(() => dst.zfs('list', '-H', '-o', 'name', 'pool/b@1').catch(() => ''), { timeout: 60_000 })
    .toBe('pool/b@1');
  expect(world.started.slice(before)).not.toContain('site-b');
  await world.arrived(dst, '1', '2');
});

test('invalid policies are logged, and change no other policy', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  const [dst] = world.targets as [SimHost];
  const sender = await world.sender([]);
  const kv = await bucketOf(world);
  await put(kv, 'src.a', { dataset: 'pool/a', to: ['dst'] });
  for (const [value, fact] of [
    ['{', 'JSON'],
    [{ dataset: 'pool/b', to: 5 }, 'to'],
    [{ dataset: 'pool/b', to: ['src'] }, 'src'],
    [{ dataset: 'pool/b', to: ['dst:pool/a'] }, 'dst:pool/a'],
  ] as const) {
    await put(kv, 'src.b', value);
    await expect
      .poll(() => sender.lines('policy.refused', { policy: 'src.b' }).map(({ msg }) => msg), { timeout: 20_000 })
      .toContainEqual(mentions(fact));
  }
  await put(kv, 'other.a', '{');
  await world.snapshot('1');
  await world.arrived(dst, '1');
  expect(sender.lines('policy.refused', { policy: 'other.a' })).toEqual([]);
});

test('a circle between hosts is refused on the one that closes it, and opens again', async () => {
  const world = await useTriggered(natsUrl(), 'dst');
  const [dst] = world.targets as [SimHost];
  await world.fleet.start('receiver', world.source, { ZPSEND_ALLOW: '*=pool' });
  const sender = await world.sender([]);
  const back = await world.fleet.start('sender', dst);
  const kv = await bucketOf(world);
  await put(kv, 'src.a', { dataset: 'pool/a', to: ['dst'] });
  await world.snapshot('1');
  await world.arrived(dst, '1');
  await put(kv, 'dst.back', { dataset: 'pool/a', to: ['src'] });
  await back.logged('policy.refused', { policy: 'dst.back' });
  await world.snapshot('2');
  await world.arrived(dst, '1', '2');
  expect(sender.lines('policy.refused', { policy: 'src.a' })).toEqual([]);
  await kv.delete('src.a');
  await expect.poll(() => back.lines('policy.active').at(-1)?.policies, { timeout: 20_000 }).toEqual(['dst.back']);
});
