import { expect, test } from 'vitest';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const natsUrl = useNatsAccounts();

const datasets = 6;
const snapshots = 50;

test('I9: a package of 300 steps killed three times at random points is completed by the same request', async () => {
  const fleet = await useFleet(natsUrl());
  const [source, target] = [await fleet.host('smos-01'), await fleet.host('smos-00')];
  await source.zpool('create', 'tank', '1G');
  await target.zpool('create', 'tank', '1G');
  await source.zfs('create', 'tank/m');
  const names = Array.from({ length: datasets - 1 }, (_, at) => `tank/m/${at}`);
  for (const name of names) await source.zfs('create', name);
  // the same names everywhere, as a recursive snapshot gives them
  for (const name of ['tank/m', ...names]) await source.zfs('zfs-sim-fill', name, String(snapshots), '20K');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=tank' });
  const request = { dataset: 'tank/m', to: { host: 'smos-00' }, package: 'replication', parallel: 3 };
  const listed = async (host: typeof source) =>
    (await host.zfs('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', 'tank/m')).split('\n').sort();

  let arrived = 0;
  for (let kill = 0; kill < 3; kill++) {
    const sender = await fleet.start('sender', source);
    const job = await fleet.begin('smos-01', request);
    const point = 1 + Math.floor(Math.random() * 60);
    await expect
      .poll(async () => (await fleet.status('smos-01', job))?.done ?? 0, { timeout: 240_000, interval: 100 })
      .toBeGreaterThan(point);
    arrived += (await fleet.status('smos-01', job))?.done ?? 0;
    await sender.end('SIGKILL');
  }
  await fleet.start('sender', source);
  const last = await fleet.send('smos-01', request);
  expect(last).toMatchObject({ state: 'done', datasets: { total: datasets, done: datasets, failed: 0 } });
  // at most one step of each running dataset arrived without being counted
  expect(last.done + arrived).toBeLessThanOrEqual(datasets * snapshots);
  expect(last.done + arrived).toBeGreaterThanOrEqual(datasets * snapshots - 3 * 2 * 3);
  expect(await listed(target)).toEqual(await listed(source));
  const listing = (await listed(source)).map((line) => line.split('\t')[0] ?? '');
  expect(await source.zfs('holds', '-H', ...listing)).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
}, 900_000);
