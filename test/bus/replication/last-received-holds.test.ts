import { expect, test } from 'vitest';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();
const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** `snapshot tag` of all holds below zones. */
async function holds(host: SimHost): Promise<string[]> {
  const all = lines(await host.zfs('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name', 'zones'));
  if (all.length === 0) return [];
  return lines(await host.zfs('holds', '-H', ...all)).map((line) => line.split('\t').slice(0, 2).join(' '));
}

const expectHeld = (host: SimHost, ...expected: string[]) =>
  expect.poll(() => holds(host), { timeout: 20_000 }).toEqual(expected);

async function usePair(...names: string[]): Promise<{ fleet: Fleet; source: SimHost; target: SimHost }> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await source.zpool('create', 'zones');
  await target.zpool('create', 'zones');
  await source.zfs('create', 'zones/test');
  for (const name of names) await source.zfs('snapshot', `zones/test@${name}`);
  await fleet.start('sender', source);
  return { fleet, source, target };
}

const allow = { ZPSEND_ALLOW: '*=zones', ZPSEND_HOLD_NEWEST: 'on' };

test('only the newest received snapshot has a hold, so that the target’s pruner cannot break the base', async () => {
  const { fleet, source, target } = await usePair('a', 'b');
  await fleet.start('receiver', target, allow);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  await expectHeld(target, 'zones/test@b zpsend:base');
  await expect(target.zfs('destroy', 'zones/test@b')).rejects.toThrow('held');
  await target.zfs('destroy', 'zones/test@a');

  await source.zfs('snapshot', 'zones/test@c');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await expectHeld(target, 'zones/test@c zpsend:base');
  expect(await holds(source)).toEqual([]);
});

test('a receiver that stops settles its holds first', async () => {
  const { fleet, target } = await usePair('a', 'b');
  const receiver = await fleet.start('receiver', target, allow);
  await fleet.send('smos-01', body);
  expect(await receiver.end('SIGTERM')).toBe(0);
  expect(await holds(target)).toEqual(['zones/test@b zpsend:base']);
});

test('holds of a killed receiver are released by the next receive', async () => {
  const { fleet, source, target } = await usePair('a');
  const receiver = await fleet.start('receiver', target, allow);
  await fleet.send('smos-01', body);
  await expectHeld(target, 'zones/test@a zpsend:base');
  await source.zfs('snapshot', 'zones/test@b');
  await fleet.send('smos-01', body);
  await receiver.end('SIGKILL');

  await fleet.start('receiver', target, allow);
  await source.zfs('snapshot', 'zones/test@c');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await expectHeld(target, 'zones/test@c zpsend:base');
});

test('several receivers of one host leave one hold, and holds of others stay', async () => {
  const { fleet, source, target } = await usePair('a');
  const receivers = [await fleet.start('receiver', target, allow), await fleet.start('receiver', target, allow)];
  await fleet.send('smos-01', body);
  await target.zfs('hold', 'mine', 'zones/test@a');
  for (const name of ['b', 'c', 'd']) {
    await source.zfs('snapshot', `zones/test@${name}`);
    await fleet.send('smos-01', body);
  }
  await Promise.all(receivers.map((receiver) => receiver.end('SIGTERM')));
  // a receiver leaves at most the hold of its last receive: the next one checks
  await fleet.start('receiver', target, allow);
  await source.zfs('snapshot', 'zones/test@g');
  await fleet.send('smos-01', body);
  await expectHeld(target, 'zones/test@a mine', 'zones/test@g zpsend:base');
}, 180_000);

test('a host in the middle of a cascade sends on what it holds, and its job leaves the hold of its receiver alone', async () => {
  const { fleet, source, target } = await usePair('a', 'b');
  const last = await fleet.host('smos-02');
  await last.zpool('create', 'zones');
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', target);
  await fleet.start('receiver', last, allow);
  const on = { dataset: 'zones/test', to: { host: 'smos-02' } };
  for (const name of ['c', 'd']) {
    expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done' });
    const newest = lines(
      await target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', '-s', 'createtxg', 'zones/test'),
    );
    await expectHeld(target, `${newest.at(-1)} zpsend:base`);
    expect(await fleet.send('smos-00', on)).toMatchObject({ state: 'done' });
    await expectHeld(target, `${newest.at(-1)} zpsend:base`);
    await expectHeld(last, `${newest.at(-1)} zpsend:base`);
    await source.zfs('snapshot', `zones/test@${name}`);
  }
}, 180_000);

test('without receive.holdNewest there is no hold, and a user who may not hold is reported once', async () => {
  const { fleet, source, target } = await usePair('a');
  const off = await fleet.start('receiver', target, { ...allow, ZPSEND_HOLD_NEWEST: 'off' });
  await fleet.send('smos-01', body);
  await off.end('SIGTERM');
  expect(await holds(target)).toEqual([]);

  const failing = { ...allow, ZFS_SIM_FAIL: 'hold:cannot hold: permission denied' };
  const receiver = await fleet.start('receiver', target, failing);
  await source.zfs('snapshot', 'zones/test@b');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await receiver.logged('hold.failed', { code: 'NOT_ALLOWED' });
});
