import { execa } from 'execa';
import { expect, test } from 'vitest';
import { controlFrame } from '../../../lib/bus/channel/direct/frame.ts';
import { rejection } from '../../support/bus.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { begin, data, expectUnlocked } from '../../support/scripted-sender.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

interface House {
  fleet: Fleet;
  target: SimHost;
  receiver: ServiceProcess;
  /** The full stream of zones/test@one on smos-01, and what it is. */
  stream: Buffer;
  to: { name: string; guid: string };
}

/** A receiver smos-00 with an empty pool zones, and a stream of smos-01, for which the test speaks. */
async function useHouse(allow: string): Promise<House> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await source.zfs('create', 'zones/test');
  await source.zfs('set', 'zfs-sim:write=200000', 'zones/test');
  await source.zfs('snapshot', 'zones/test@one');
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: allow });
  const { stdout } = await execa('zfs', ['send', 'zones/test@one'], {
    env: source.env,
    extendEnv: false,
    encoding: 'buffer',
  });
  const guid = await source.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/test@one');
  return { fleet, target, receiver, stream: Buffer.from(stdout), to: { name: 'zones/test@one', guid } };
}

/** All parents but the pool. */
const above = (dataset: string): string[] =>
  dataset
    .split('/')
    .slice(1, -1)
    .map((_, index, inner) => ['zones', ...inner.slice(0, index + 1)].join('/'));

const list = async (host: SimHost, ...columns: string[]): Promise<string[]> =>
  (await host.zfs('list', '-Hp', '-t', 'filesystem,snapshot', '-o', ['name', ...columns].join(','))).split('\n');

/** The verbs of the `zfs` processes that changed something there. */
const changes = async (host: SimHost): Promise<string[]> =>
  (await host.processes()).map(({ argv }) => argv[1] ?? '').filter((verb) => ['create', 'receive'].includes(verb));

test('I11: missing parents are made after the first frame, once, though two receives need them', async () => {
  const { fleet, target, receiver, stream, to } = await useHouse('*=zones/back');
  const names = ['a', 'b'].map((name) => `zones/back/site one/${name}`);
  const scriptedSenders = await Promise.all(
    names.map((dataset) => begin(fleet, { targetDataset: dataset, to, parents: above(dataset) })),
  );
  expect(await list(target)).toEqual(['zones']);
  for (const sender of scriptedSenders) sender.publish(data(0, stream), controlFrame('end', stream.length));
  for (const sender of scriptedSenders)
    expect(await sender.final).toEqual({ type: 'done', guid: to.guid, bytes: stream.length });
  expect(await list(target, 'canmount', 'mounted', 'zpsend:placeholder')).toEqual([
    'zones\ton\tyes\t-',
    'zones/back\toff\tno\ton',
    'zones/back/site one\toff\tno\ton',
    ...names.flatMap((name) => [`${name}\ton\tno\ton`, `${name}@one\t-\t-\ton`]),
  ]);
  for (const made of ['zones/back', 'zones/back/site one']) {
    expect(receiver.lines('receive.parent-created', { parent: made })).toHaveLength(1);
  }
  await expectUnlocked(fleet);
});

test('a sender that goes while its parents are made gets no zfs receive, and the next one finds them', async () => {
  const { fleet, target, stream, to } = await useHouse('*=zones');
  const parents = Array.from({ length: 12 }, (_, depth) => ['zones', ...Array(depth + 1).fill('p')].join('/'));
  const dataset = `${parents.at(-1)}/a`;
  const sender = await begin(fleet, { targetDataset: dataset, to, parents: above(dataset) });
  const abort = JSON.stringify({ code: 'ABORTED', message: 'enough', retryable: false });
  sender.publish(data(0, stream.subarray(0, 1000)), controlFrame('abort', 0, abort));
  expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'ABORTED', message: 'enough' } });
  await expectUnlocked(fleet);
  expect(await changes(target)).not.toContain('receive');
  expect((await list(target)).length, 'nothing more is made either').toBeLessThan(parents.length);

  const again = await begin(fleet, { targetDataset: dataset, to, parents: above(dataset) });
  again.publish(data(0, stream), controlFrame('end', stream.length));
  expect(await again.final).toMatchObject({ type: 'done' });
  expect(await list(target)).toEqual(['zones', ...parents, dataset, `${dataset}@one`]);
});

test('where parents cannot be made the start is refused with the reason, and nothing is done', async () => {
  const { fleet, target, to } = await useHouse('smos-01=zones/locked,smos-01=zones/vol,smos-01=zones/far/off');
  await target.zfs('create', '-V', '8M', 'zones/vol');
  await target.zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', 'canmount=off', 'zones/locked');
  await target.zfs('unload-key', 'zones/locked');
  const before = await changes(target);
  const refused = (dataset: string) => rejection(begin(fleet, { targetDataset: dataset, to, parents: above(dataset) }));
  expect(await refused('zones/vol/x/a')).toMatchObject({
    code: 'UNSUPPORTED',
    details: { above: 'zones/vol' },
  });
  expect(await refused('zones/locked/x/a')).toMatchObject({
    code: 'KEY_REQUIRED',
    details: { above: 'zones/locked' },
    message: mentions('zones/locked/x', 'smos-00'),
  });
  expect(await refused('zones/locked/a'), 'nor can the dataset itself').toMatchObject({ code: 'KEY_REQUIRED' });
  expect(await refused('zones/far/off/x/a')).toMatchObject({
    code: 'NO_SUCH_DATASET',
    message: mentions('zfs create -p -o canmount=off "zones/far"'),
  });
  expect(await changes(target)).toEqual(before);
  await expectUnlocked(fleet);
});
