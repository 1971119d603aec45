import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
/** Slow enough that a transfer of `big` takes seconds, so that something can happen in its middle. */
const slow = { ZFS_SIM_RECV_RATE: '8M' };
const big = 40_000_000;

interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

/** Two hosts, and zones/test with the named snapshots, each `big` bytes further. */
async function usePair(url: string, ...snapshots: string[]): Promise<Pair> {
  const fleet = await useFleet(url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await source.zpool('create', 'zones');
  await target.zpool('create', 'zones');
  await source.zfs('create', 'zones/test');
  for (const name of snapshots) {
    await source.zfs('set', `zfs-sim:write=${big}`, 'zones/test');
    await source.zfs('snapshot', `zones/test@${name}`);
  }
  return { fleet, source, target };
}

const guids = async (host: SimHost): Promise<string[]> =>
  (await host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name,guid', '-s', 'createtxg', 'zones/test')).split('\n');

const holds = async (host: SimHost, ...names: string[]): Promise<string> =>
  (await host.zfs('holds', '-H', ...names.map((name) => `zones/test@${name}`))).trim();

/** Resolves when the receiver has handed some of the running stream to `zfs receive`. */
async function midStream({ fleet, target }: Pair, job: string): Promise<void> {
  for (;;) {
    const status = await fleet.status('smos-01', job).catch(() => undefined);
    if (status && status.bytes > 16_000_000) break;
    if (status?.state === 'failed') throw new Error(JSON.stringify(status.error));
    await sleep(50);
  }
  expect(await target.zfs('list', '-Hp', '-o', 'name')).toContain('zones/test');
}

const expectArrived = async ({ fleet, source, target }: Pair): Promise<void> => {
  expect(await guids(target)).toEqual(await guids(source));
  expect(await (await openLocks(fleet.bus, 4)).list()).toEqual([]);
};

test('I9: a sender killed in mid-stream: the same request again completes from the resume token, and its holds go', async () => {
  const pair = await usePair(natsUrl(), 'a', 'b');
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ...slow });
  const sender = await fleet.start('sender', source);
  await midStream(pair, await fleet.begin('smos-01', body));
  expect(await sender.end('SIGKILL')).toBe('SIGKILL');
  expect(await holds(source, 'a', 'b')).toContain('zpsend:');

  await fleet.start('sender', source);
  const job = await fleet.send('smos-01', body);
  expect(job).toMatchObject({ state: 'done', done: 2 });
  expect(job.bytes).toBeLessThan(2 * big);
  expect(await holds(source, 'a', 'b')).toBe('');
  await expectArrived(pair);
});

test('I9: a receiver killed in mid-stream: the job waits for the next one and continues from the resume token', async () => {
  const pair = await usePair(natsUrl(), 'a', 'b');
  const { fleet, source, target } = pair;
  const allow = { ZPSEND_ALLOW: '*=zones', ...slow };
  const receiver = await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', body);
  await midStream(pair, id);
  await receiver.end('SIGKILL');
  await fleet.start('receiver', target, allow);
  expect(await fleet.ended('smos-01', id)).toMatchObject({ state: 'done', done: 2 });
  expect(await holds(source, 'a', 'b')).toBe('');
  await expectArrived(pair);
});

test('I9: a nats-server restarted in mid-stream: the job continues by itself', async () => {
  const server = await ownNatsServer();
  const pair = await usePair(server.url, 'a');
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ...slow });
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', body);
  await midStream(pair, id);
  await server.restart();
  expect(await fleet.ended('smos-01', id)).toMatchObject({ state: 'done', done: 1 });
  await expectArrived(pair);
});

test('a connection lost for 10 s in mid-stream: the job continues when it is back', async () => {
  const server = await ownNatsServer();
  const pair = await usePair(server.url, 'a');
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ...slow });
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', body);
  await midStream(pair, id);
  await server.kill();
  // the outage of the title
  await sleep(10_000);
  await server.restart();
  expect(await fleet.ended('smos-01', id)).toMatchObject({ state: 'done', done: 1 });
  await expectArrived(pair);
});

test('a receiver that stops keeps the partial state and releases the lock; the next one continues', async () => {
  const pair = await usePair(natsUrl(), 'a');
  const { fleet, source, target } = pair;
  const allow = { ZPSEND_ALLOW: '*=zones', ...slow };
  const receiver = await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', body);
  await midStream(pair, id);
  expect(await receiver.end('SIGTERM')).toBe(0);
  expect(await (await openLocks(fleet.bus, 4)).list()).toEqual([]);
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'receive_resume_token', 'zones/test')).toMatch(/^1-/);
  await fleet.start('receiver', target, allow);
  const job = await fleet.ended('smos-01', id);
  expect(job).toMatchObject({ state: 'done', done: 1 });
  await expectArrived(pair);
});

test('I1: one of two senders into one dataset wins, and the other gets LOCKED with the holder', async () => {
  const pair = await usePair(natsUrl(), 'a');
  const { fleet, source, target } = pair;
  const other = await fleet.host('smos-02');
  await other.zpool('create', 'zones');
  await other.zfs('create', 'zones/test');
  await other.zfs('snapshot', 'zones/test@theirs');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '3M' });
  await fleet.start('sender', source);
  await fleet.start('sender', other);
  const id = await fleet.begin('smos-01', body);
  await midStream(pair, id);
  const rival = await fleet.send('smos-02', body);
  expect(rival).toMatchObject({ state: 'failed', error: { code: 'LOCKED', details: { source: 'smos-01' } } });
  expect(await fleet.ended('smos-01', id)).toMatchObject({ state: 'done', done: 1 });
  await expectArrived(pair);
});

test('I3: a snapshot destroyed during the run is skipped, and the run ends well', async () => {
  const pair = await usePair(natsUrl(), 'a', 'b', 'c', 'd');
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '30M' });
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', body);
  await midStream(pair, id);
  await source.zfs('destroy', 'zones/test@c');
  expect(await fleet.ended('smos-01', id)).toMatchObject({ state: 'done', done: 3 });
  await expectArrived(pair);
});
