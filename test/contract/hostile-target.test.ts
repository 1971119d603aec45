import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packNvlist } from '../../lib/zfs/nvlist.ts';
import { encodeToken } from '../../lib/zfs/resume-token.ts';
import { headOf } from '../../lib/zfs/stream-head.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { forgedToken, tokenAround } from '../support/forged-token.ts';
import { useNatsServer } from '../support/nats-server.ts';
import { type ServiceProcess, startService } from '../support/service.ts';
import { isReal, lab, MIB } from './zfs-under-test.ts';

/** The source is honest. Its target's services are too, but the zfs below them prints an enemy's output. */
const server = useNatsServer();
const z = lab(512 * MIB);
const lying = dirname(fileURLToPath(new URL('../support/lying-zfs/zfs', import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), 'zpsend-lying-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let services: ServiceProcess[] = [];
let [open, secret, encrypted] = ['', '', ''];
beforeAll(async () => {
  [open, secret, encrypted] = [`${z.source}/open`, `${z.source}/secret`, `${z.source}/encrypted`];
  const key = join(folder, 'key');
  writeFileSync(key, 'a passphrase\n');
  for (const dataset of [open, secret]) z.ok('create', dataset);
  z.ok('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=file://${key}`, encrypted);
  for (const dataset of [open, secret, encrypted]) {
    z.write(dataset, 2 * MIB);
    z.ok('snapshot', `${dataset}@1`);
  }
  const env = { ...z.env, NATS_URL: server().url, ZPSEND_HOLD_NEWEST: 'off', ZPSEND_LOCK_SECONDS: '15' };
  const enemy = { PATH: [lying, z.env.PATH].join(delimiter), LYING_ZFS: folder, ZPSEND_ALLOW: `*=${z.target}` };
  services = await Promise.all([
    startService('sender', { ...env, ZPSEND_HOST: 'smos-01' }),
    startService('receiver', { ...env, ...enemy, ZPSEND_HOST: 'smos-00' }),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});

const loot = (): string[] => readdirSync(folder).filter((name) => name.startsWith('loot-'));
beforeEach(() => {
  for (const name of ['token', ...loot()]) rmSync(join(folder, name), { force: true });
});

const guid = (snapshot: string): bigint => BigInt(z.value('guid', snapshot));
/** The snapshot of each stream that reached the enemy's disk. */
function lootIsOf(): { guid: string; raw: boolean }[] {
  return loot()
    .map((name) => readFileSync(join(folder, name)))
    .filter(({ length }) => length > 0)
    .map((bytes) => {
      const head = headOf(bytes);
      if ('needs' in head) throw new Error(`a stream of ${bytes.length} bytes has no first record`);
      return { guid: head.toguid, raw: head.raw };
    });
}

/** Half a stream is on the target, as a dead receive leaves it; its token reads as the forged one from now on. */
function half(dataset: string, target: string, token?: string, ...flags: string[]): void {
  z.zfs('destroy', '-r', target);
  const stream = z.stream(...flags, `${dataset}@1`);
  z.feed(stream.subarray(0, MIB), 'receive', '-s', '-u', target);
  expect(z.value('receive_resume_token', target)).toMatch(/^1-/);
  if (token !== undefined) writeFileSync(join(folder, 'token'), token);
}

const contents = (snapshot: string) => ({
  ...{ toname: snapshot, toguid: String(guid(snapshot)), object: 1n, offset: 0n, bytes: 0n },
  flags: { raw: false, largeBlock: false, embed: false, compressed: false },
});
const place = [
  ['object', 1n],
  ['offset', 0n],
  ['bytes', 0n],
] as const;
const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Each is a token of the secret snapshot that seems, one way or other, to be of the open one. */
const forgeries: Record<string, () => string> = {
  'the name and guid of another snapshot': () => encodeToken(contents(`${secret}@1`)),
  'the right guid, and the name of another snapshot': () =>
    encodeToken({ ...contents(`${secret}@1`), toguid: String(guid(`${open}@1`)) }),
  'printed lines of the right guid and name before the others': () =>
    forgedToken([
      ['a', `x\n\ttoguid = ${hex(guid(`${open}@1`))}\n\ttoname = ${open}@1`],
      ...place,
      ['toguid', guid(`${secret}@1`)],
      ['toname', `${secret}@1`],
    ]),
  'the same in the form that ZFS writes': () =>
    tokenAround(
      packNvlist(
        new Map<string, bigint | string>([
          ['a', `x\n\ttoguid = ${hex(guid(`${open}@1`))}\n\ttoname = ${open}@1`],
          ...place,
          ['toguid', guid(`${secret}@1`)],
          ['toname', `${secret}@1`],
        ]),
      ),
    ),
  'a line break in its name': () =>
    forgedToken([
      ...place,
      ['toguid', guid(`${secret}@1`)],
      ['toname', `${open}@1\n\ttoguid = ${hex(guid(`${secret}@1`))}\n\ttoname = ${secret}@1`],
    ]),
  'its guid twice': () =>
    forgedToken([
      ...place,
      ['toguid', guid(`${open}@1`)],
      ['toname', `${open}@1`],
      ['toguid', guid(`${secret}@1`)],
      ['toname', `${secret}@1`],
    ]),
};

async function sent(fleet: Fleet, dataset: string, target: string) {
  return fleet.send('smos-01', { dataset, to: { host: 'smos-00', dataset: target }, compression: 'none' });
}

describe('a target gets only the planned stream, by a resume token with', () => {
  test.each(Object.keys(forgeries))('%s', async (name) => {
    const target = `${z.target}/open`;
    half(open, target, forgeries[name]?.() ?? '');
    const fleet = await useFleet(server().url);
    const job = await sent(fleet, open, target);
    for (const one of lootIsOf()) expect(one).toEqual({ guid: String(guid(`${open}@1`)), raw: false });
    // a token of other guids and another dataset is kept; an unreadable one is discarded as stale or refused
    if (job.state === 'done') expect(z.digest(`${target}@1`)).toBe(z.digest(`${open}@1`));
    else expect(job.error).toMatchObject({ code: 'EXISTS', details: { dataset: target } });
  });

  test.each(['a line in a name', 'the flag of a raw stream left out'])('%s, of an encrypted dataset', async (name) => {
    const target = `${z.target}/encrypted`;
    const of = contents(`${encrypted}@1`);
    const isForged = name.startsWith('a line');
    const forged = forgedToken([
      ['a', 'x\n\trawok = 1'],
      ...place,
      ['toguid', BigInt(of.toguid)],
      ['toname', of.toname],
    ]);
    half(encrypted, target, isForged ? forged : encodeToken(of), '-w');
    const fleet = await useFleet(server().url);
    const job = await sent(fleet, encrypted, target);
    for (const one of lootIsOf()) expect(one).toEqual({ guid: of.toguid, raw: true });
    if (job.state === 'done') expect(z.value('guid', `${target}@1`)).toBe(of.toguid);
    else expect(job.error).toMatchObject({ code: 'EXISTS', details: { dataset: target } });
  });

  test('no forgery: the true token is resumed', async () => {
    const target = `${z.target}/honest`;
    half(open, target);
    const fleet = await useFleet(server().url);
    expect(await sent(fleet, open, target)).toMatchObject({ state: 'done' });
    expect([lootIsOf(), z.digest(`${target}@1`)]).toEqual([
      [{ guid: String(guid(`${open}@1`)), raw: false }],
      z.digest(`${open}@1`),
    ]);
  });
});

describe('the properties that a user of one dataset sets', () => {
  const row = (dataset: string) =>
    [dataset, 'filesystem', '4711', '1', '1', '1', '0', '0', '-', 'off', '-', '-', '-', '-'].join('\t');

  test('do not change how an encrypted sibling is sent', async () => {
    const mallory = `${z.source}/mallory`;
    z.ok('create', mallory);
    z.ok('snapshot', `${mallory}@1`);
    z.zfs('destroy', '-r', `${z.target}/all`);
    for (const name of ['stream', 'rollback', 'placeholder', 'other'])
      z.ok('set', `zpsend:${name}=x\n${row(encrypted)}\n${row(`${encrypted}@1`)}\n`, mallory);
    const fleet = await useFleet(server().url);
    const body = { dataset: z.source, to: { host: 'smos-00', dataset: `${z.target}/all` }, package: 'replication' };
    const job = await fleet.send('smos-01', body);
    for (const one of lootIsOf().filter(({ guid: of }) => of === String(guid(`${encrypted}@1`))))
      expect(one.raw).toBe(true);
    expect(job).toMatchObject({ state: 'failed', error: { message: expect.stringContaining(mallory) } });
    for (const name of ['stream', 'rollback', 'placeholder']) z.ok('inherit', `zpsend:${name}`, mallory);
    z.ok('snapshot', '-r', `${z.source}@2`);
    expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done' });
    expect(z.value('guid', `${z.target}/all/encrypted@1`)).toBe(String(guid(`${encrypted}@1`)));
    expect(z.value('encryption', `${z.target}/all/encrypted`)).not.toBe('off');
  });

  test('are not received with a stream’s properties if zpsend reads them', async () => {
    const [from, into] = [`${z.source}/carrier`, `${z.target}/carrier`];
    z.ok('create', from);
    z.ok(
      'set',
      'zpsend:rollback=4711:abcdef1',
      'zpsend:placeholder=on',
      'zpsend:stream=4711:raw',
      'org:note=kept',
      from,
    );
    z.ok('snapshot', `${from}@1`);
    const fleet = await useFleet(server().url);
    const body = { dataset: from, to: { host: 'smos-00', dataset: into }, stream: { props: true } };
    expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done' });
    expect(z.value('org:note', into)).toBe('kept');
    for (const name of ['rollback', 'placeholder'])
      expect([name, z.value(`zpsend:${name}`, into)]).toEqual([name, '-']);
    expect(z.value('zpsend:stream', into)).not.toBe('4711:raw');
  });
});

// the records of the simulator's streams are ZFS's own; its contents are not text that could be looked for
test.runIf(isReal)('no word of a secret file is in the data that reached the enemy', async () => {
  const dataset = `${z.source}/words`;
  z.ok('create', dataset);
  z.zfs('mount', dataset);
  writeFileSync(join(z.value('mountpoint', secret), 'file'), 'TOPSECRET'.repeat(10_000));
  z.ok('snapshot', `${secret}@words`);
  writeFileSync(join(z.value('mountpoint', dataset), 'file'), 'INTHEOPEN'.repeat(10_000));
  z.write(dataset, 2 * MIB);
  z.ok('snapshot', `${dataset}@1`);
  const target = `${z.target}/words`;
  half(dataset, target, encodeToken(contents(`${secret}@words`)));
  const fleet = await useFleet(server().url);
  await sent(fleet, dataset, target);
  rmSync(join(folder, 'token'));
  z.zfs('receive', '-A', target);
  expect(await sent(fleet, dataset, target)).toMatchObject({ state: 'done' });
  const words = loot().map((name) => readFileSync(join(folder, name)).includes('TOPSECRET'));
  expect(words).not.toContain(true);
});
