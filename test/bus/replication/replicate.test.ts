import { expect, test } from 'vitest';
import { useFleet } from '../../support/fleet.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const seven = ['now', 'now2', '8550', '18569', '20392', '30577', '4387'];

const guids = async (host: SimHost, dataset: string): Promise<string[]> =>
  (await host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name,guid', '-s', 'createtxg', dataset))
    .split('\n')
    .map((line) => line.replace(/^[^@]*@/, ''));

test('sends every snapshot of a dataset, with equal guids, and a second run does nothing', async () => {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await source.zpool('create', 'zones');
  await target.zpool('create', 'zones');
  await source.zfs('create', 'zones/test');
  for (const name of seven) {
    await source.zfs('set', 'zfs-sim:write=100000', 'zones/test');
    await source.zfs('snapshot', `zones/test@${name}`);
  }
  await fleet.start('receiver', target, { ZPSEND_ALLOW: 'smos-01=zones' });
  await fleet.start('sender', source);

  const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(job).toMatchObject({ state: 'done', done: 7 });
  expect(await guids(target, 'zones/test')).toEqual(await guids(source, 'zones/test'));
  expect((await source.zfs('holds', '-H', ...seven.map((name) => `zones/test@${name}`))).trim()).toBe('');

  const again = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(again).toMatchObject({ state: 'done', done: 0, bytes: 0 });

  await source.zfs('snapshot', 'zones/test@later');
  const later = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(later).toMatchObject({ state: 'done', done: 1 });
});
