import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { doctorOutputSchema } from '../../../schemas/output.ts';
import { startNatsServer } from '../../../tools/nats-server/start.ts';
import { configured } from '../../support/configured.ts';
import { quick, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import type { SimHost } from '../../support/sim-host.ts';

const server = useNatsServer();

const doctor = (host: SimHost, ...args: string[]) => doctorWith(host, {}, ...args);

async function doctorWith(host: SimHost, env: NodeJS.ProcessEnv, ...args: string[]) {
  const { stdout } = await execa(process.execPath, [program, 'doctor', '--json', ...args], {
    env: { ...host.env, ...quick, NATS_URL: server().url, ...env },
    extendEnv: false,
    reject: false,
  });
  return doctorOutputSchema.parse(JSON.parse(stdout));
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const traces = async (host: SimHost) => ({
  holds: lines(await host.zfs('holds', '-H', ...['a', 'b', 'c'].map((name) => `zones/test@${name}`))).map((line) =>
    line.split('\t').slice(0, 2).join(' '),
  ),
  bookmarks: lines(await host.zfs('list', '-Hp', '-t', 'bookmark', '-o', 'name', 'zones/test')),
});

test('doctor lists stale marks and changes nothing; with --fix it repairs exactly these', async () => {
  const fleet = await useFleet(server().url);
  const host = await fleet.host('smos-01');
  await host.zpool('create', 'zones');
  await host.zfs('create', 'zones/test');
  for (const name of ['a', 'b', 'c']) await host.zfs('snapshot', `zones/test@${name}`);
  const guid = (name: string) => host.zfs('get', '-Hp', '-o', 'value', 'guid', `zones/test@${name}`);
  const cursor = async (name: string) => `zones/test#zpsend_smos-00_0123abcd_${await guid(name)}`;
  for (const name of ['a', 'b']) await host.zfs('bookmark', `zones/test@${name}`, await cursor(name));
  await host.zfs('bookmark', 'zones/test@a', 'zones/test#mine');
  for (const [tag, ...names] of [
    ['zpsend:deaddead01.2.0123abcd', 'a'],
    ['mine', 'a'],
    ['zpsend:base', 'a', 'b'],
  ]) {
    for (const name of names) await host.zfs('hold', tag ?? '', `zones/test@${name}`);
  }
  const before = await traces(host);
  const alone = await doctor(host, '--fix');
  expect(alone.checks, 'the job may run on another NATS').toContainEqual({
    what: 'unclear',
    result: 'note',
    found: expect.stringMatching(/zpsend:deaddead01\S* .*zones\/test@a\b/),
    remedy: expect.any(String),
  });
  expect(alone.repaired).toEqual([expect.objectContaining({ kind: 'cursor' })]);
  await host.zfs('bookmark', 'zones/test@a', await cursor('a'));
  expect(await traces(host)).toEqual(before);

  await fleet.start('receiver', host, { ZPSEND_ALLOW: '*=zones' });
  const found = await doctor(host);
  expect(found.staleMarks).toEqual([
    {
      kind: 'step-hold',
      snapshot: 'zones/test@a',
      guid: await guid('a'),
      tag: 'zpsend:deaddead01.2.0123abcd',
      job: 'deaddead01',
    },
    { kind: 'cursor', bookmark: await cursor('a'), guid: await guid('a'), newer: await cursor('b') },
    {
      kind: 'last-received-hold',
      snapshot: 'zones/test@a',
      guid: await guid('a'),
      tag: 'zpsend:base',
      newer: 'zones/test@b',
    },
  ]);
  expect(found.checks).toContainEqual(expect.objectContaining({ what: 'base', found: mentions('@c') }));
  expect(found).toMatchObject({ repaired: [], notRepaired: [] });
  expect(await traces(host)).toEqual(before);

  const repaired = await doctor(host, '--fix');
  expect(repaired).toMatchObject({ repaired: found.staleMarks, notRepaired: [] });
  expect(await traces(host)).toEqual({
    holds: ['zones/test@a mine', 'zones/test@b zpsend:base'],
    bookmarks: [await cursor('b'), 'zones/test#mine', `zones/test#zpsend_0123abcd_${await guid('a')}`].sort(),
  });
  expect((await doctor(host)).staleMarks).toEqual([]);
}, 180_000);

test('doctor ignores the holds of a running job, and lists an interrupted receive', async () => {
  const fleet = await useFleet(server().url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await source.zpool('create', 'zones');
  await target.zpool('create', 'zones');
  await source.zfs('create', 'zones/test');
  for (const name of ['a', 'b', 'c']) {
    await source.zfs('set', 'zfs-sim:write=40000000', 'zones/test');
    await source.zfs('snapshot', `zones/test@${name}`);
  }
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '2M' });
  await fleet.start('sender', source);
  const job = await fleet.begin('smos-01', { dataset: 'zones/test', to: { host: 'smos-00' } });
  const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(sent, { timeout: 30_000 }).toBeGreaterThan(4_000_000);
  const before = await traces(source);
  expect(before.holds).toEqual([expect.stringContaining(`zones/test@a zpsend:${job}.0.`)]);
  const checked = await doctor(source, '--fix');
  expect(checked).toMatchObject({ staleMarks: [], repaired: [] });
  expect(row(checked, 'send')).toMatchObject({ result: 'note', remedy: mentions('send.allow') });
  expect(await traces(source)).toEqual(before);

  await receiver.end('SIGTERM');
  await fleet.start('receiver', target, { ZPSEND_MAX_CONCURRENT: '1' });
  const { checks, staleMarks } = await doctor(target, '--fix');
  expect(staleMarks).toEqual([]);
  expect(checks).toContainEqual(expect.objectContaining({ what: 'partial', found: mentions('zones/test@a') }));
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'receive_resume_token', 'zones/test')).toMatch(/^1-/);
});

const row = ({ checks }: Awaited<ReturnType<typeof doctor>>, what: string) => checks.find((one) => one.what === what);

test('without NATS doctor checks this machine, and has rows for an invalid configuration and for what is unknown', async () => {
  const fleet = await useFleet(server().url);
  const host = await fleet.host('smos-01');
  await host.zpool('create', 'zones');
  const config = configured('receive: { allow: [{ from: smos-00, into: zones }] }');
  const found = await doctorWith(host, { NATS_URL: 'nats://127.0.0.1:1', ...config });
  expect(found.checks.map(({ what, result }) => `${result} ${what}`)).toEqual([
    ...['good this host', 'good node', 'good config', 'bad nats', 'good zfs', 'good pools', 'note stale'],
  ]);
  expect(row(found, 'config')?.found).toEqual(mentions(`${config.ZPSEND_CONFIG}`, 'smos-00', 'zones', 4));
  expect(row(found, 'nats')?.found).toEqual(mentions('nats://127.0.0.1:1'));

  const broken = await doctorWith(host, configured('recieve: {}'));
  expect(row(broken, 'config')).toMatchObject({ result: 'bad', found: mentions('"recieve"') });
  expect(row(broken, 'nats')).toMatchObject({ result: 'good', found: mentions('environment') });
  expect(row(broken, 'pools')).toMatchObject({ result: 'good' });
});

test('doctor shows the source of the NATS settings, and a server without JetStream', async () => {
  const fleet = await useFleet(server().url);
  const host = await fleet.host('smos-01');
  await using bare = await startNatsServer();
  const NATS_URL = '';
  const section = await doctorWith(host, { NATS_URL, ...configured(`nats: { url: "${bare.url}" }`) });
  expect(row(section, 'nats')?.found).toEqual(mentions(new URL(bare.url).host, 'credentials'));
  expect(row(section, 'jetstream')).toMatchObject({
    result: 'bad',
    remedy: mentions('nats-server', '-js'),
  });

  const home = host.env.HOME ?? '';
  const variables = join(home, 'env');
  await writeFile(variables, `# as systemd reads it\nNATS_URL="${server().url}"\nZPSEND_HOST=smos-07\n`);
  const fromFile = await doctorWith(host, { NATS_URL, ZPSEND_HOST: '', ZPSEND_ENV_FILE: variables });
  expect(row(fromFile, 'this host')?.found).toBe('smos-07');
  expect(row(fromFile, 'nats')?.found).toContain(`(${variables})`);

  await mkdir(join(home, '.config/nats/context'), { recursive: true });
  await writeFile(join(home, '.config/nats/context.txt'), 'lab');
  await writeFile(join(home, '.config/nats/context/lab.json'), JSON.stringify({ url: server().url }));
  const none = { NATS_URL, ZPSEND_ENV_FILE: '/dev/null' };
  expect(row(await doctorWith(host, none), 'nats')?.found).toEqual(mentions('context lab'));
  await writeFile(join(home, '.config/nats/context/lab.json'), JSON.stringify({ url: server().url, nsc: 'nsc://a' }));
  expect(row(await doctorWith(host, none), 'nats')).toMatchObject({
    result: 'bad',
    found: mentions('nsc'),
  });
});
