import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

/** smos-01 with zones/fs@1 and zones/vol@1, and a receiver smos-00 with this configuration. */
async function usePair(receive: object) {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await source.zfs('create', '-o', 'mountpoint=/elsewhere', 'zones/fs');
  await source.zfs('create', '-V', '8M', 'zones/vol');
  await source.zfs('snapshot', 'zones/fs@1', 'zones/vol@1');
  const config = join(target.env.HOME ?? '', 'zpsend.yaml');
  await writeFile(config, JSON.stringify({ receive }));
  await fleet.start('receiver', target, { ZPSEND_CONFIG: config });
  await fleet.start('sender', source);
  const send = (dataset: string, properties?: object) =>
    fleet.send('smos-01', { dataset, to: { host: 'smos-00' }, ...(properties && { properties }) });
  return { target, send };
}

const values = async (host: SimHost, dataset: string, ...names: string[]): Promise<string[]> =>
  (await host.zfs('get', '-Hp', '-o', 'value', names.join(','), dataset)).split('\n');

test('what the receiver sets is set, and left out where it does not fit a volume', async () => {
  const { target, send } = await usePair({
    allow: [{ from: '*', into: 'zones' }],
    properties: { set: { readonly: 'on', atime: 'off', mountpoint: 'none', volmode: 'none' }, exclude: ['quota'] },
  });
  expect(await send('zones/fs')).toMatchObject({ state: 'done' });
  expect(await values(target, 'zones/fs', 'readonly', 'atime', 'mountpoint')).toEqual(['on', 'off', 'none']);
  expect(await send('zones/vol')).toMatchObject({ state: 'done' });
  expect(await values(target, 'zones/vol', 'readonly', 'volmode', 'atime')).toEqual(['on', 'none', '-']);
});

test('a request sets what the receiver lets that source set, and is refused anything else before any process starts', async () => {
  const { target, send } = await usePair({
    allow: [
      { from: 'smos-01', into: 'zones', properties: ['compression', 'acme:*'] },
      { from: 'smos-09', into: 'zones', properties: ['*'] },
    ],
  });
  const refused = await send('zones/fs', { set: { compression: 'lz4', exec: 'off' } });
  expect(refused).toMatchObject({ state: 'failed', error: { code: 'NOT_ALLOWED', details: { properties: ['exec'] } } });
  expect(refused.error?.message).toEqual(mentions('properties: ["exec"]'));
  expect((await target.processes()).filter(({ argv }) => argv.includes('receive'))).toEqual([]);

  const allowed = await send('zones/fs', { set: { compression: 'lz4', 'acme:from': 'smos-01' }, exclude: ['atime'] });
  expect(allowed).toMatchObject({ state: 'done' });
  expect(await values(target, 'zones/fs', 'compression', 'acme:from', 'readonly')).toEqual(['lz4', 'smos-01', 'on']);
});
