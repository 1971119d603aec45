import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { debianMirror } from '../../../../tools/nats-server/debian-mirror.ts';
import type { Fetch } from '../../../../tools/nats-server/fetch.ts';
import { atLeast, findNatsServer, NatsServerMissingError } from '../../../../tools/nats-server/find.ts';
import { mentions } from '../../../support/mentions.ts';

let folder: string;
let cache: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-find-'));
  cache = join(folder, 'cache/zpsend/nats-server');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** An executable that says it is nats-server of that version. */
const fake = async (path: string, version: string): Promise<string> => {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
};

const env = (more: Record<string, string> = {}) => ({
  PATH: join(folder, 'bin'),
  HOME: folder,
  XDG_CACHE_HOME: join(folder, 'cache'),
  ...more,
});

const source = (what: string, run: Fetch['run']): Fetch => ({ how: 'apt', what, run });
const brings = (version: string): Fetch =>
  source('a package', async (_work, target) => void (await fake(target, version)));
const missing = (promise: Promise<unknown>) =>
  promise.then(() => undefined).catch((error: NatsServerMissingError) => error);

describe('where a nats-server is looked for', () => {
  test('NATS_SERVER_BIN comes before PATH', async () => {
    await fake(join(folder, 'bin/nats-server'), '2.12.0');
    const named = await fake(join(folder, 'mine'), '2.11.3');
    const found = await findNatsServer({ env: env({ NATS_SERVER_BIN: named }), sources: [] });
    expect(found).toEqual({ path: named, version: '2.11.3', how: 'NATS_SERVER_BIN' });
  });

  test('a NATS_SERVER_BIN that is too old is refused, not replaced', async () => {
    await fake(join(folder, 'bin/nats-server'), '2.12.0');
    const named = await fake(join(folder, 'mine'), '2.10.29');
    const error = await missing(findNatsServer({ env: env({ NATS_SERVER_BIN: named }), sources: [brings('2.15.1')] }));
    expect(error).toBeInstanceOf(NatsServerMissingError);
    expect(error?.message).toEqual(mentions(named, '2.10.29'));
  });

  test('PATH comes before the cache', async () => {
    const onPath = await fake(join(folder, 'bin/nats-server'), '2.12.0');
    await fake(join(cache, 'nats-server'), '2.15.1');
    expect(await findNatsServer({ env: env(), sources: [] })).toEqual({ path: onPath, version: '2.12.0', how: 'PATH' });
  });

  test('one on PATH that is too old leads to the cache', async () => {
    await fake(join(folder, 'bin/nats-server'), '2.9.10');
    const cached = await fake(join(cache, 'nats-server'), '2.15.1');
    expect(await findNatsServer({ env: env(), sources: [] })).toEqual({
      path: cached,
      version: '2.15.1',
      how: 'cache',
    });
  });
});

describe('bringing a nats-server', () => {
  test('the first way that works fills the cache, and nothing else is left there', async () => {
    const fails = source('a broken way', () => Promise.reject(new Error('no network')));
    const found = await findNatsServer({ env: env(), sources: [fails, brings('2.15.1')] });
    expect(found).toEqual({ path: join(cache, 'nats-server'), version: '2.15.1', how: 'apt' });
    expect(await readdir(cache)).toEqual(['nats-server']);
  });

  test('a failure names everything that was tried with its reason, and what to do by hand', async () => {
    await fake(join(folder, 'bin/nats-server'), '2.9.10');
    const sources = [source('a package', () => Promise.reject(new Error('apt-get is not on PATH'))), brings('2.10.0')];
    const error = await missing(findNatsServer({ env: env(), sources }));
    expect(error?.tried).toEqual([
      'NATS_SERVER_BIN: not set',
      `PATH: ${join(folder, 'bin/nats-server')} is 2.9.10`,
      `cache: nothing usable in ${cache}`,
      'a package: apt-get is not on PATH',
      'a package: the downloaded release is 2.10.0',
    ]);
    expect(error?.message).toEqual(mentions('NATS_SERVER_BIN', 'go install'));
  });

  test('many that look at once bring it once', async () => {
    let times = 0;
    const slow = source('a package', async (_work, target) => {
      times += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      await fake(target, '2.15.1');
    });
    const all = await Promise.all(Array.from({ length: 4 }, () => findNatsServer({ env: env(), sources: [slow] })));
    expect(times).toBe(1);
    expect(all.map((found) => found.how).sort()).toEqual(['apt', 'cache', 'cache', 'cache']);
  });

  test('the lock of a process that died is taken over', async () => {
    await mkdir(cache, { recursive: true });
    await writeFile(join(cache, 'lock'), '999999999');
    expect((await findNatsServer({ env: env(), sources: [brings('2.15.1')] })).how).toBe('apt');
  });
});

test.each([
  ['2.11.0', true],
  ['2.9.10', false],
  ['2.10.99', false],
  ['2.15.1', true],
  ['3.0.0', true],
])('version %s is new enough: %s', (version, expected) => {
  expect(atLeast(version, '2.11.0')).toBe(expected);
});

describe('the Debian archive of this machine', () => {
  test.each([
    [
      'a one-line file',
      'sources.list',
      'deb [arch=amd64] http://one.example/debian/ bookworm main\n',
      'http://one.example/debian',
    ],
    [
      'a deb822 file with comments and the security archive first',
      'debian.sources',
      '# old\nTypes: deb\nURIs: http://s.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n' +
        'Types: deb deb-src\n# note\nURIs: http://a.example/debian\nSuites: bookworm bookworm-updates\n',
      'http://a.example/debian',
    ],
    [
      'a snapshot of the archive',
      'x.list',
      'deb http://s.example/archive/debian/20250520T000000Z trixie main',
      'http://s.example/archive/debian/20250520T000000Z',
    ],
    [
      'a cloud image',
      'debian.sources',
      'Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: trixie\n',
      'mirror+file:///etc/apt/mirrors/debian.list',
    ],
    [
      'a disabled stanza',
      'debian.sources',
      'Types: deb\nEnabled: no\nURIs: http://a.example/debian\nSuites: trixie\n',
      undefined,
    ],
    ['another vendor', 'node.list', 'deb https://deb.example/node_20.x nodistro main', undefined],
    ['a commented line', 'sources.list', '# deb http://one.example/debian bookworm main', undefined],
  ])('is read from %s', (_what, name, text, expected) => {
    expect(debianMirror([{ name, text }])).toBe(expected);
  });
});
