import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { controlFrame } from '../../lib/bus/channel/direct/frame.ts';
import { doctorOutputSchema } from '../../schemas/output.ts';
import { lab } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import { begin, data } from '../support/scripted-sender.ts';
import type { ServiceProcess } from '../support/service.ts';
import { startHere } from './services.ts';

const server = useNatsServer();
const zfs = lab();
const bin = fileURLToPath(new URL('../../bin/zpsend.ts', import.meta.url));

let services: ServiceProcess[] = [];
beforeAll(async () => {
  services = await Promise.all([
    startHere(zfs, server().url, 'receiver', 'smos-00'),
    startHere(zfs, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});

const send = async (name: string, more: object = {}) => {
  const fleet = await useFleet(server().url);
  const to = { host: 'smos-00', dataset: `${zfs.target}/${name}` };
  return fleet.send('smos-01', { dataset: `${zfs.source}/${name}`, to, ...more });
};
const value = (property: string, name: string): string => zfs.value(property, `${zfs.target}/${name}`);

test('a replica is readonly, not mounted, and where its own parent puts it; also when compressed', async () => {
  zfs.ok('create', '-o', 'mountpoint=/elsewhere', `${zfs.source}/fs`);
  zfs.write(`${zfs.source}/fs`, 100_000);
  zfs.ok('snapshot', `${zfs.source}/fs@1`);
  zfs.ok('snapshot', `${zfs.source}/fs@2`);
  expect(await send('fs', { compression: 'zstd' })).toMatchObject({
    state: 'done',
    done: 2,
    compressedBytes: expect.any(Number),
  });
  expect([value('readonly', 'fs'), value('mounted', 'fs')]).toEqual(['on', 'no']);
  expect(value('mountpoint', 'fs')).toBe(`/${zfs.target}/fs`);
  expect(zfs.digest(`${zfs.target}/fs@2`)).toBe(zfs.digest(`${zfs.source}/fs@2`));
});

test('a volume is readonly; properties of filesystems are left out', async () => {
  zfs.ok('create', '-s', '-V', '8M', `${zfs.source}/vol`);
  zfs.ok('snapshot', `${zfs.source}/vol@1`);
  zfs.ok('snapshot', `${zfs.source}/vol@2`);
  expect(await send('vol')).toMatchObject({ state: 'done', done: 2 });
  expect([value('type', 'vol'), value('readonly', 'vol')]).toEqual(['volume', 'on']);
});

test('a request may not set what the receiver does not let it', async () => {
  zfs.ok('create', `${zfs.source}/set`);
  zfs.ok('snapshot', `${zfs.source}/set@1`);
  const properties = { set: { mountpoint: '/etc' } };
  expect(await send('set', { properties })).toMatchObject({ state: 'failed', error: { code: 'NOT_ALLOWED' } });
  expect(zfs.zfs('list', `${zfs.target}/set`).exit).toBe(1);
});

test('edge case 13: a stream with unannounced properties decides nothing of this host', async () => {
  const source = `${zfs.source}/props`;
  zfs.ok('create', '-o', 'mountpoint=/etc', '-o', 'canmount=noauto', '-o', 'exec=off', '-o', 'atime=off', source);
  zfs.ok('snapshot', `${source}@1`);
  const dataset = `${zfs.target}/props`;
  const fleet = await useFleet(server().url);
  const talk = await begin(fleet, {
    targetDataset: dataset,
    to: { name: `${source}@1`, guid: zfs.value('guid', `${source}@1`) },
  });
  const stream = zfs.stream('-p', `${source}@1`);
  talk.publish(data(0, stream), controlFrame('end', stream.length));
  expect(await talk.final).toMatchObject({ type: 'done' });
  expect(['mountpoint', 'canmount', 'exec', 'readonly', 'atime'].map((name) => value(name, 'props'))).toEqual([
    `/${dataset}`,
    ...['on', 'on', 'on', 'off'],
  ]);
});

test('edge case 33: doctor reports a share that replicas inherit, whether or not there is a server for it', async () => {
  zfs.ok('create', `${zfs.source}/shared`);
  zfs.ok('snapshot', `${zfs.source}/shared@1`);
  expect(await send('shared')).toMatchObject({ state: 'done' });
  // prints that there is no server to share it, and sets it all the same
  zfs.zfs('set', 'sharenfs=on', zfs.target);
  onTestFinished(() => void zfs.zfs('inherit', 'sharenfs', zfs.target));
  expect(value('sharenfs', 'shared')).toBe('on');
  const { stdout } = await execa(process.execPath, [bin, 'doctor', '--json'], {
    env: { ...zfs.env, NATS_URL: server().url, ZPSEND_HOST: 'smos-00' },
    extendEnv: false,
    reject: false,
  });
  const { checks } = doctorOutputSchema.parse(JSON.parse(stdout));
  expect(checks.filter(({ what }) => what === 'share')).toEqual([
    {
      what: 'share',
      result: 'note',
      found: mentions(zfs.target, 'sharenfs=on'),
      remedy: mentions(`zfs set sharenfs=off "${zfs.target}"`),
    },
  ]);
});
