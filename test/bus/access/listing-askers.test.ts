import { describe, expect, test } from 'vitest';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { inboxPrefix } from '../../../lib/bus/permissions.ts';
import { requestInventory } from '../../../lib/bus/rpc/inventory-parts.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { configured } from '../../support/configured.ts';
import { useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();
const snapshot = 'pool/a@1';
const refused = { code: 'NOT_ALLOWED', retryable: false };

/** A connection that asks as a host with its own permissions. */
const as = (host: string): Promise<Bus> =>
  useBus(natsUrl(), {
    env: { NATS_URL: natsUrl(), ZPSEND_INBOX_PREFIX: inboxPrefix(host) },
    host,
    self: { host, machine: {} },
  });

/** `src` has sent pool/a to `dst`, which lets `src` write to pool/a and `near` below pool/near. */
async function useHosts(env: NodeJS.ProcessEnv = {}) {
  const fleet = await useFleet(natsUrl());
  const [src, dst] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
  await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
  for (const dataset of ['pool/a', 'pool/own']) await src.zfs('create', dataset);
  await dst.zfs('create', 'pool/other');
  await src.zfs('snapshot', '-r', 'pool@1');
  await dst.zfs('snapshot', '-r', 'pool@there');
  await fleet.start('receiver', dst, { ZPSEND_ALLOW: 'src=pool/a,near=pool/near' });
  await fleet.start('sender', src);
  expect(await fleet.send('src', { dataset: 'pool/a', to: { host: 'dst' } })).toMatchObject({ state: 'done' });
  await fleet.start('receiver', src, env);
  return fleet;
}

/** `pool/a@1` for what is shown, `pool/a` for what is shown without its contents. */
async function shownOf(asker: string, host: string, dataset?: string) {
  const what = dataset === undefined ? {} : { dataset, recursive: true };
  const { datasets, restricted } = await requestInventory(await as(asker), host, what, { bare: true });
  const names = datasets.flatMap(({ name, snapshots, withheld }) =>
    withheld ? [name] : snapshots.map((snapshot) => `${name}@${snapshot.name}`),
  );
  return { names, restricted };
}

test('a host is shown where it may write and what was sent to it, and that there may be more', async () => {
  await useHosts();
  expect(await shownOf('src', 'dst', 'pool/a')).toEqual({ names: ['pool/a@1'], restricted: undefined });
  expect(await shownOf('src', 'dst', 'pool')).toEqual({ names: ['pool', 'pool/a@1'], restricted: true });
  expect(await shownOf('src', 'dst')).toEqual({ names: ['pool', 'pool/a@1'], restricted: true });
  expect(await shownOf('dst', 'src')).toEqual({ names: ['pool', 'pool/a@1'], restricted: true });
  expect(await shownOf('near', 'dst')).toEqual({ names: ['pool'], restricted: true });
});

test('what is not the asking host’s to know is refused, whether it is there or not, and never shown as empty', async () => {
  await useHosts();
  for (const [asker, host, dataset] of [
    ['src', 'dst', 'pool/other'],
    ['src', 'dst', 'pool/none'],
    ['src', 'dst', 'nopool'],
    ['near', 'dst', 'pool/a'],
    ['near', 'src', 'pool/a'],
    ['dst', 'src', 'pool/own'],
  ] as const) {
    const asked = requestInventory(await as(asker), host, { dataset, recursive: true });
    expect([asker, dataset, await rejection(asked)]).toMatchObject([
      asker,
      dataset,
      { ...refused, details: { asker, dataset } },
    ]);
  }
  // what only lies above its own has no snapshots to be shown, which is not the same as having none
  expect(await rejection(requestInventory(await as('src'), 'dst', { dataset: 'pool' }))).toMatchObject({
    ...refused,
    details: { dataset: 'pool' },
  });
  // its own is not there yet: that it may know
  expect(await rejection(requestInventory(await as('near'), 'dst', { dataset: 'pool/near' }))).toMatchObject({
    code: 'NO_SUCH_DATASET',
  });
});

test('with send.allow a host is shown what the deepest rules send to it, sent before or not', async () => {
  const allow = [
    { dataset: 'pool', to: 'dst' },
    { dataset: 'pool/own', to: 'third' },
  ];
  const fleet = await useFleet(natsUrl());
  const src = await fleet.host('src');
  await src.zpool('create', 'pool');
  for (const dataset of ['pool/a', 'pool/own']) await src.zfs('create', dataset);
  await src.zfs('snapshot', '-r', 'pool@1');
  await fleet.start('sender', src, configured(JSON.stringify({ send: { allow } })));
  expect(await shownOf('dst', 'src', 'pool')).toEqual({ names: ['pool@1', 'pool/a@1'], restricted: true });
  expect(await shownOf('third', 'src')).toEqual({ names: ['pool', 'pool/own@1'], restricted: true });
  expect(await rejection(shownOf('third', 'src', 'pool/a'))).toMatchObject(refused);
});

describe('a sender that asks as its host', () => {
  const asSrc = { ZPSEND_INBOX_PREFIX: inboxPrefix('src') };

  test('sends the parts of a tree whose root is a container that it may not write to, and nothing into that', async () => {
    const fleet = await useFleet(natsUrl());
    const [src, dst] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
    await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
    for (const dataset of ['pool/vm', 'pool/vm/a', 'pool/vm/b']) await src.zfs('create', dataset);
    for (const snapshot of ['pool/vm/a@1', 'pool/vm/b@1']) await src.zfs('snapshot', snapshot);
    await dst.zfs('create', 'pool/vm');
    await fleet.start('receiver', dst, { ZPSEND_ALLOW: 'src=pool/vm/a,src=pool/vm/b' });
    await fleet.start('sender', src, asSrc);
    const tree = { dataset: 'pool/vm', package: 'replication', to: { host: 'dst' } };
    expect(await fleet.send('src', tree)).toMatchObject({ state: 'done', done: 2 });
    await src.zfs('snapshot', 'pool/vm@2');
    const { state, error } = await fleet.send('src', tree);
    expect([state, error?.code, error?.details?.dataset]).toEqual(['failed', 'NOT_ALLOWED', 'pool/vm']);
    expect(await dst.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name')).toBe('pool/vm/a@1\npool/vm/b@1');
  });

  test('stores for a host of which only a sender answers, which does not know who may write', async () => {
    const fleet = await useFleet(natsUrl());
    const [src, dst] = await Promise.all([fleet.host('teller'), fleet.host('mute')]);
    await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
    await src.zfs('create', 'pool/a');
    await src.zfs('snapshot', snapshot);
    await fleet.start('sender', dst);
    await fleet.start('sender', src, { ZPSEND_INBOX_PREFIX: inboxPrefix('teller') });
    const request = { dataset: 'pool/a', to: { host: 'mute' }, channel: 'auto' };
    const job = await fleet.send('teller', request);
    expect([job.state, job.channel, job.error]).toEqual(['done', 'store', undefined]);
  });
});

test('what was ordered and never sent is not shown', async () => {
  const fleet = await useHosts();
  const receiver = await fleet.host('late');
  await receiver.zpool('create', 'pool');
  await fleet.start('receiver', receiver, { ZPSEND_ALLOW: 'near=pool' });
  expect(await fleet.send('src', { dataset: 'pool/own', to: { host: 'late' } })).toMatchObject({ state: 'failed' });
  expect(await rejection(shownOf('late', 'src', 'pool/own'))).toMatchObject(refused);
});
