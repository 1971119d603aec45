import { expect, test } from 'vitest';
import { useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const guidOf = (host: SimHost, name: string): Promise<string> => host.zfs('get', '-Hp', '-o', 'value', 'guid', name);

/** smos-01 with an encrypted zones/all/enc beside zones/all/mallory, whose user may set properties, and a receiver smos-00. */
async function usePair() {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await source.zfs('create', 'zones/all');
  await source.zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', 'zones/all/enc');
  await source.zfs('create', 'zones/all/mallory');
  await source.zfs('snapshot', '-r', 'zones/all@1');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones' });
  await fleet.start('sender', source);
  return { fleet, source, target };
}

test('a property in the form of listing rows does not have an encrypted dataset sent decrypted: nothing is sent, and the error names it', async () => {
  const { fleet, source, target } = await usePair();
  const guid = await guidOf(source, 'zones/all/enc');
  const [listed, noted] = [
    ['zones/all/enc', 'filesystem', guid, '9', '1', '1', '0', '0', '-', 'off'].join('\t'),
    ['zones/all/enc', 'zpsend:stream', `${guid}:`].join('\t'),
  ];
  const request = { dataset: 'zones/all', to: { host: 'smos-00' }, package: 'replication' };
  for (const forged of [listed, noted]) {
    await source.zfs('set', `zpsend:stream=x\n${forged}`, 'zones/all/mallory');
    const job = await fleet.send('smos-01', request);
    expect(job).toMatchObject({ state: 'failed', done: 0, bytes: 0, error: { code: 'INTERNAL' } });
    expect(job.error?.message).toEqual(mentions('zones/all/mallory'));
  }
  expect(await target.zfs('list', '-H', '-o', 'name')).toBe('zones');
  await source.zfs('inherit', 'zpsend:stream', 'zones/all/mallory');
  expect(await fleet.send('smos-01', request)).toMatchObject({ state: 'done', done: 3 });
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'encryption', 'zones/all/enc')).toBe('aes-256-gcm');
});

test('a stream with properties decides nothing of what zpsend notes on its target', async () => {
  const { fleet, source, target } = await usePair();
  const forged = ['x\nzones/own', 'filesystem', '1', '2'].join('\t');
  await source.zfs(
    'set',
    `zpsend:stream=${forged}`,
    `zpsend:rollback=${forged}`,
    'zpsend:placeholder=on',
    'zones/all/mallory',
  );
  const stream = { props: true };
  // it is sent by itself, and its own listing is refused on the source; what arrives by other means has no effect either
  const job = await fleet.send('smos-01', { dataset: 'zones/all/mallory', to: { host: 'smos-00' }, stream });
  expect(job).toMatchObject({ state: 'failed', error: { code: 'INTERNAL' } });
  await source.zfs('set', 'zpsend:stream=7:raw', 'zpsend:rollback=7:abcdef1', 'zones/all/mallory');
  const to = { host: 'smos-00' };
  expect(await fleet.send('smos-01', { dataset: 'zones/all/mallory', to, stream })).toMatchObject({ state: 'done' });
  const own = 'zpsend:stream,zpsend:rollback,zpsend:placeholder';
  const rows = (await target.zfs('get', '-Hp', '-o', 'value,source', own, 'zones/all/mallory')).split('\n');
  const guid = await guidOf(source, 'zones/all/mallory');
  // its parent is a placeholder that the receiver made
  expect(rows).toEqual([`${guid}:large-block,compressed\tlocal`, '-\t-', 'on\tinherited from zones/all']);
});
