import { expect, test } from 'vitest';
import { newSecret } from '../../../lib/bus/channel/direct/authentic.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { protocol } from '../../../schemas/protocol.ts';
import type { SendRequest } from '../../../schemas/request.ts';
import { receiveAbortedSchema, receiveReadySchema } from '../../../schemas/transfer.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const token = (host: SimHost) => host.zfs('get', '-Hp', '-o', 'value', 'receive_resume_token', 'zones/test');

/** zones/test on smos-00 with the partial state of a seed from smos-01's zones/test@a, and both services running. */
async function usePartial(
  create: string[] = [],
  more: Partial<SendRequest> = {},
): Promise<{ fleet: Fleet; source: SimHost; target: SimHost }> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  for (const host of [source, target]) await host.zpool('create', 'zones');
  await source.zfs('create', ...create, 'zones/test');
  await source.zfs('set', 'zfs-sim:write=40000000', 'zones/test');
  await source.zfs('snapshot', 'zones/test@a');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '20M' });
  const sender = await fleet.start('sender', source);
  const job = await fleet.begin('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' }, ...more });
  await expect
    .poll(async () => (await fleet.status('smos-01', job))?.bytes ?? 0, { timeout: 30_000 })
    .toBeGreaterThan(10_000_000);
  await sender.end('SIGTERM');
  await expect.poll(() => token(target).catch(() => ''), { timeout: 30_000 }).toMatch(/^1-/);
  await fleet.start('sender', source);
  return { fleet, source, target };
}

test('partial state of a snapshot that is gone at the source is dropped, and the seed begins with what there is', async () => {
  const { fleet, source, target } = await usePartial();
  await source.zfs('destroy', 'zones/test@a');
  await source.zfs('snapshot', 'zones/test@b');
  const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(await token(target)).toBe('-');
});

test('I5: partial state of another dataset is not dropped', async () => {
  const { fleet, source, target } = await usePartial();
  const before = await token(target);
  await source.zfs('create', 'zones/other');
  await source.zfs('snapshot', 'zones/other@b');
  const job = await fleet.send('smos-01', { dataset: 'zones/other', to: { host: 'smos-00', dataset: 'zones/test' } });
  expect(job).toMatchObject({ state: 'failed', error: { code: 'EXISTS' } });
  expect(job.error?.message).toEqual(mentions('zones/test@a'));
  expect(await token(target)).toBe(before);
});

const encrypted = ['-o', 'encryption=on', '-o', 'keyformat=passphrase'];

test('partial state of a stream that was not raw is dropped for one that is, and what arrives is encrypted', async () => {
  const { fleet, target } = await usePartial(encrypted, { stream: { raw: false } });
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'encryption', 'zones/test')).toBe('off');
  const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'encryption', 'zones/test')).toBe('aes-256-gcm');
});

test('a raw stream is continued as it began, and the chain is remembered as raw', async () => {
  const { fleet, source, target } = await usePartial(encrypted);
  const guid = await source.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/test');
  const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(job.bytes).toBeLessThan(35_000_000);
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'zpsend:stream', 'zones/test')).toBe(`${guid}:raw`);
});

test('I11: a receiver asked to drop partial state shows what it would drop, and keeps it until the stream begins', async () => {
  const { fleet, target } = await usePartial();
  const resumeToken = await token(target);
  const transfer = 'transfer1';
  const to = { name: 'zones/test@b', guid: '1' };
  const start = {
    transfer,
    protocol,
    secret: newSecret(),
    job: 'jobjobjob1',
    sourceHost: 'smos-01',
    targetDataset: 'zones/test',
    to,
    partial: 'discard',
  };
  const ready = await fleet.ask(subjects.receive('smos-00', 'start'), start, receiveReadySchema);
  expect(ready).toMatchObject({ resumeToken });
  await fleet.ask(subjects.receive('smos-00', 'abort'), { transfer }, receiveAbortedSchema);
  expect(await token(target)).toBe(resumeToken);
});

test('I5: what another host’s seed of the same name has left is not dropped for this one’s', async () => {
  const { fleet, target } = await usePartial();
  const other = await fleet.host('smos-02');
  await other.zpool('create', 'zones');
  await other.zfs('create', 'zones/test');
  await other.zfs('snapshot', 'zones/test@a');
  await fleet.start('sender', other);
  const before = await token(target);
  const job = await fleet.send('smos-02', { dataset: 'zones/test', to: { host: 'smos-00' } });
  expect(job).toMatchObject({ state: 'failed', error: { code: 'EXISTS' } });
  expect(await token(target)).toBe(before);
});
