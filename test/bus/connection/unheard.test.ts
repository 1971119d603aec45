import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { subjects } from '../../../lib/bus/subjects.ts';
import { jobAbortedSchema } from '../../../schemas/job.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { type Gate, useGate } from '../../support/gate.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();
const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
const hold = { ZPSEND_ALLOW: '*=zones', ZPSEND_HOLD_NEWEST: 'on' };

async function snapshot(host: SimHost, name: string, bytes = 100_000): Promise<void> {
  await host.zfs('set', `zfs-sim:write=${bytes}`, 'zones/test');
  await host.zfs('snapshot', `zones/test@${name}`);
}

const listed = async (host: SimHost): Promise<string> =>
  host.zfs('list', '-Hp', '-r', '-t', 'snapshot,bookmark', '-o', 'name', 'zones/test');

/** A step whose snapshot is on the target, while its receiver is stopped before it can report that. */
async function stopBeforeDone(url: string, ...later: string[]) {
  const fleet = await useFleet(url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await source.zfs('create', 'zones/test');
  await snapshot(source, 'a');
  const gate: Gate = await useGate(target);
  const receiver: ServiceProcess = await fleet.start('receiver', target, {
    ...hold,
    ZFS_SIM_RECV_RATE: '4M',
    ...gate.env,
  });
  const sender = await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done' });
  await snapshot(source, 'b', 12_000_000);
  for (const name of later) await snapshot(source, name);
  const job = await fleet.begin('smos-01', body);
  const bytes = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(bytes, { timeout: 30_000 }).toBeGreaterThan(1_000_000);
  await gate.shut('list');
  await gate.reached('list');
  return { fleet, source, target, gate, sender, receiver, job };
}

/** A pruner takes every snapshot; what is left has to be base enough. */
async function expectBase({ fleet, source }: { fleet: Fleet; source: SimHost }): Promise<void> {
  for (const name of (await listed(source)).split('\n').filter((one) => one.includes('@')))
    await source.zfs('destroy', name);
  await snapshot(source, 'next');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  // the cursor alone is left: what stood for it while in doubt has gone
  expect((await listed(source)).split('\n').filter((name) => name.includes('#'))).toHaveLength(1);
}

test('I9: a snapshot whose receiver was killed before its report has a bookmark before its hold goes', async () => {
  const world = await stopBeforeDone(natsUrl());
  const { fleet, target, gate, receiver, job } = world;
  await receiver.end('SIGKILL');
  await gate.open('list');
  await fleet.start('receiver', target, hold);
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done' });
  await expectBase(world);
}, 120_000);

test('I9: the same when NATS was restarted meanwhile, and the source destroys the snapshot as soon as it can', async () => {
  const server = await ownNatsServer();
  const world = await stopBeforeDone(server.url, 'c');
  const { fleet, source, gate, sender, receiver, job } = world;
  await source.zfs('destroy', '-d', 'zones/test@b');
  await server.restart();
  await Promise.all([sender, receiver].map((service) => service.logged('nats.connected')));
  await gate.open('list');
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done' });
  await expectBase(world);
}, 120_000);

test('I9: the same when the job was aborted while its receiver verified it', async () => {
  const world = await stopBeforeDone(natsUrl());
  const { fleet, source, target, gate, job } = world;
  await fleet.ask(subjects.send('smos-01', 'abort'), { job }, jobAbortedSchema);
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'failed', error: { code: 'ABORTED' } });
  await gate.open('list');
  await expect.poll(() => listed(target), { timeout: 30_000 }).toContain('@b');
  expect(await source.zfs('holds', '-H', 'zones/test@b')).toBe('');
  await expectBase(world);
}, 120_000);

test.each(['a seed', 'an increment'])(
  'I9: %s that arrives after its sender was killed has a bookmark when the next job’s sweep lets it go',
  async (what) => {
    const fleet = await useFleet(natsUrl());
    const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
    await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
    await source.zfs('create', 'zones/test');
    const gate = await useGate(target);
    const receiver = await fleet.start('receiver', target, { ...hold, ZPSEND_LOCK_SECONDS: '30', ...gate.env });
    const sender = await fleet.start('sender', source);
    if (what === 'an increment') {
      await snapshot(source, 'a');
      expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done' });
    }
    await snapshot(source, 'b');
    // the stream is sent with its end, before zfs receive reads
    await gate.shut('receive');
    const job = await fleet.begin('smos-01', body);
    await gate.reached('receive');
    await expect.poll(async () => (await fleet.status('smos-01', job))?.bytes ?? 0).toBeGreaterThan(100_000);
    // no event shows that the end of the stream has arrived too
    await sleep(500);
    await sender.end('SIGKILL');
    await fleet.start('sender', source);
    const next = await fleet.begin('smos-01', body);
    const waits = async () => (await fleet.status('smos-01', next))?.waiting?.code ?? '';
    await expect.poll(waits, { timeout: 30_000 }).toMatch(/LOCKED/);
    const left = async () =>
      (await source.zfs('holds', '-H', 'zones/test@b')).split('\n').filter((line) => line.includes(job));
    await expect.poll(left, { timeout: 30_000 }).toEqual([]);
    await gate.open('receive');
    await receiver.logged('receive.done', { snapshot: 'zones/test@b' });
    expect(await fleet.ended('smos-01', next)).toMatchObject({ state: 'done', done: 0 });
    await expectBase({ fleet, source });
  },
  120_000,
);
