import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createZfs } from '../../../../lib/zfs/zfs.ts';
import { mentions } from '../../../support/mentions.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-zfs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A `zfs` that is a shell script of the test, found through PATH; `$CALLS` gets one line for each call. */
async function fake(script: string, command = 'zfs', options: { queryTimeoutMs?: number } = {}) {
  const path = join(folder, command);
  await writeFile(path, `#!/bin/sh\necho "$@" >> ${join(folder, 'calls')}\n${script}\n`);
  await chmod(path, 0o755);
  return createZfs({ host: 'smos-01', env: { PATH: `${folder}:/usr/bin:/bin` }, ...options });
}
const calls = async () => (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
const into = { dataset: 'tank/b', snapshot: 'x', set: {}, exclude: [] };

// those folders are always searched
const hasZfs = ['/usr/local/sbin', '/usr/sbin', '/sbin'].some((sbin) => existsSync(join(sbin, 'zfs')));

describe.skipIf(hasZfs)('where zfs cannot be run', () => {
  it('absent: UNSUPPORTED, with the command and the host', async () => {
    const zfs = createZfs({ host: 'smos-01', env: { PATH: folder, ZPSEND_TEST: '1' } });
    const absent = {
      code: 'UNSUPPORTED',
      message: mentions('smos-01', 'zfs', 'PATH'),
    };
    await expect(zfs.list({})).rejects.toMatchObject(absent);
    await expect(zfs.send({ to: 'tank/a@x' }).done).rejects.toMatchObject(absent);
    const receive = zfs.receive(into);
    receive.stdin.write('x');
    await expect(receive.done).rejects.toMatchObject(absent);
    await expect(zfs.pools()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('not executable: NOT_ALLOWED', async () => {
    const zfs = await fake('');
    await chmod(join(folder, 'zfs'), 0o644);
    await expect(zfs.list({})).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
  });
});

describe('names', () => {
  it('that are illegal start no process', async () => {
    const zfs = await fake('');
    await expect(zfs.list({ dataset: '-rf' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(zfs.hold('zpsend:j', ['tank/a@x', '$(id)'])).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(calls()).rejects.toThrow('ENOENT');
  });
});

describe('a command that hangs', () => {
  it('is killed, and TIMEOUT names the command', async () => {
    const zfs = await fake(`echo $$ > ${join(folder, 'pid')}; exec sleep 600`, 'zfs', { queryTimeoutMs: 500 });
    await expect(zfs.hold('zpsend:abcdefghij', ['tank/a@x'])).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: mentions('tank/a@x', 'smos-01', 'zfs hold', '0.5 s'),
    });
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('is not awaited if even SIGKILL does not end it', async () => {
    // a child that keeps its output open acts like a process that no signal ends
    const zfs = await fake('sleep 20 & exec sleep 600', 'zfs', { queryTimeoutMs: 500 });
    await expect(zfs.estimate({ token: '1-a' })).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('is awaited if it changes a target, since it could do so later, without the lock', async () => {
    const zfs = await fake('sleep 1.5', 'zfs', { queryTimeoutMs: 200 });
    expect(await zfs.createPlaceholder('tank/a')).toBe(true);
    await zfs.abortReceive('tank/a');
    await expect(zfs.version()).rejects.toMatchObject({ code: 'TIMEOUT' });
  });
});

describe('createPlaceholder', () => {
  it('distinguishes a new dataset, an existing one, and a failure', async () => {
    expect(await (await fake('')).createPlaceholder('tank/a b')).toBe(true);
    expect(await calls()).toEqual(['create -o canmount=off -o zpsend:placeholder=on tank/a b']);
    const there = await fake(`echo "cannot create 'tank/a': dataset already exists" >&2; exit 1`);
    expect(await there.createPlaceholder('tank/a')).toBe(false);
    const locked = `echo "cannot create 'tank/a': encryption root's key is not loaded or provided" >&2; exit 1`;
    await expect((await fake(locked)).createPlaceholder('tank/a')).rejects.toMatchObject({
      code: 'KEY_REQUIRED',
      message: mentions('tank/a', 'smos-01'),
    });
  });
});

describe('a send', () => {
  it('loses nothing when its reader comes late', async () => {
    const zfs = await fake('head -c 3000000 /dev/zero');
    const send = zfs.send({ to: 'tank/a@x' });
    await sleep(100);
    expect(await buffer(send.stdout)).toHaveLength(3_000_000);
    await send.done;
  });

  it('that fails after output rejects with the error of zfs', async () => {
    const zfs = await fake(
      `head -c 100000 /dev/zero; echo "warning: cannot send 'tank/a@x': permission denied" >&2; exit 1`,
    );
    const send = zfs.send({ to: 'tank/a@x' });
    await buffer(send.stdout);
    await expect(send.done).rejects.toMatchObject({
      code: 'NOT_ALLOWED',
      message: mentions('tank/a@x', 'smos-01', "warning: cannot send 'tank/a@x'"),
    });
  });

  it('that fails rejects with all of stderr, including output after its exit', async () => {
    const zfs = await fake(`(sleep 0.2; echo "warning: cannot send 'tank/a@x': permission denied" >&2) & exit 1`);
    await expect(zfs.send({ to: 'tank/a@x' }).done).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
  });

  it('that is killed before it is read rejects with ABORTED', async () => {
    const zfs = await fake('exec cat /dev/zero');
    const send = zfs.send({ to: 'tank/a@x' });
    await sleep(50);
    send.kill();
    expect(send.stdout.destroyed).toBe(true);
    await expect(send.done).rejects.toMatchObject({ code: 'ABORTED', message: mentions('SIGTERM') });
  });

  it('keeps a bounded part of endless stderr', async () => {
    const zfs = await fake('head -c 5000000 /dev/zero | tr "\\\\0" x >&2; exit 1');
    const send = zfs.send({ to: 'tank/a@x' });
    const error = await send.done.catch((thrown) => thrown);
    expect(error.code).toBe('INTERNAL');
    expect(JSON.stringify(error.toBody()).length).toBeLessThan(20_000);
  });
});

describe('a receive', () => {
  it('that ends before its input causes no unhandled EPIPE, and rejects with its error', async () => {
    const zfs = await fake(`exec 0<&-; echo "cannot receive: invalid stream (bad magic number)" >&2; exit 1`);
    const receive = zfs.receive(into);
    for (let i = 0; i < 20; i++) receive.stdin.write(Buffer.alloc(1_000_000));
    await expect(receive.done).rejects.toMatchObject({ code: 'STREAM_BROKEN' });
    receive.stdin.write('late');
    await sleep(20);
  });

  it('that could not set a property succeeds with a message', async () => {
    const zfs = await fake(
      `cat >/dev/null; echo "cannot receive readonly property on tank/backup/a: permission denied" >&2`,
    );
    const receive = zfs.receive({ ...into, set: { readonly: 'on' } });
    receive.stdin.end();
    expect(await receive.done).toEqual([mentions('cannot receive readonly property', 'zfs allow -u')]);
  });

  it('that may not exclude a property has no message: without that permission it did not receive it', async () => {
    const lines = ['setuid', 'readonly'].map(
      (name) => `cannot receive ${name} property on tank/backup/a: permission denied`,
    );
    const zfs = await fake(`cat >/dev/null; printf '%s\\n' ${lines.map((line) => `"${line}"`).join(' ')} >&2`);
    const receive = zfs.receive({ ...into, set: { readonly: 'on' }, exclude: ['setuid'] });
    receive.stdin.end();
    expect(await receive.done).toEqual([mentions('readonly property')]);
  });

  it('consumes all of its input and then succeeds', async () => {
    const zfs = await fake(`cat > ${join(folder, 'taken')}`);
    const receive = zfs.receive(into);
    receive.stdin.end(Buffer.alloc(2_000_000, 7));
    expect(await receive.done).toEqual([]);
    expect((await readFile(join(folder, 'taken'))).equals(Buffer.alloc(2_000_000, 7))).toBe(true);
  });
});

describe('a listing', () => {
  const dashes = (count: number): string => '\\t-'.repeat(count);

  it('omits a column that this release does not know, and remembers it', async () => {
    const zfs = await fake(`case "$*" in
      get*) exit 0;;
      *keystatus*) printf "bad property list: invalid property 'keystatus'\\\\nusage:\\\\n" >&2; exit 2;;
      *encryption,*) printf "bad property list: invalid property 'encryption'\\\\nusage:\\\\n" >&2; exit 2;;
    esac
    printf 'tank\\tfilesystem\\t1\\t2\\t3\\t4\\t5${dashes(12)}\\n'`);
    expect(await zfs.list({})).toMatchObject([{ name: 'tank', used: 3, written: 5, encryption: 'off' }]);
    expect(await calls()).toHaveLength(4);
    expect(await zfs.inspect(['tank'])).toMatchObject([{ name: 'tank' }]);
    expect(await calls()).toHaveLength(5);
  });

  it('fails without a required column, and does not retry endlessly', async () => {
    const zfs = await fake(`echo "bad property list: invalid property 'guid'" >&2; exit 2`);
    await expect(zfs.list({})).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(await calls()).toHaveLength(1);
  });

  it('fails if ZFS refuses a column that is already omitted, and does not retry endlessly', async () => {
    const zfs = await fake(`echo "bad property list: invalid property 'keystatus'" >&2; exit 2`);
    await expect(zfs.list({})).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(await calls()).toHaveLength(2);
  });

  it('inspects all origins outside of it with one more command', async () => {
    const zfs = await fake(`case "$*" in
      get*) exit 0;;
      *-r\\ tank/c) printf 'tank/c\\tfilesystem\\t1\\t2\\t0\\t0\\t0\\t-\\ttank/a@x\\toff${dashes(11)}\\ntank/c/d\\tfilesystem\\t3\\t4\\t0\\t0\\t0\\t-\\ttank/b@y\\toff${dashes(11)}\\n';;
      *) printf 'tank/a@x\\tsnapshot\\t77\\t2\\t0\\t0\\t0\\t0${dashes(13)}\\n'
        echo "cannot open 'tank/b@y': dataset does not exist" >&2; exit 1;;
    esac`);
    const datasets = await zfs.list({ dataset: 'tank/c', recursive: true });
    expect(datasets.map(({ origin }) => origin)).toEqual([{ name: 'tank/a@x', guid: '77' }, { name: 'tank/b@y' }]);
    expect(await calls()).toHaveLength(3);
  });

  it('of a host without a pool is empty', async () => {
    const zfs = await fake('echo "no datasets available" >&2; exit 0');
    expect(await zfs.list({})).toEqual([]);
  });
});

it('a zfs without a version command still has a version', async () => {
  const zfs = await fake(`echo "unrecognized command 'version'" >&2; exit 2`);
  expect(await zfs.version()).toMatch(/^zfs/);
});

it('the holds of many snapshots are listed by a few processes', async () => {
  const zfs = await fake('shift 2; printf "%s\\tkeep\\tdate\\n" "$@"');
  const snapshots = Array.from({ length: 9000 }, (_, i) => `tank/${'d'.repeat(100)}@${i}`);
  expect(await zfs.holds(snapshots)).toHaveLength(9000);
  expect(await calls()).toHaveLength(3);
});
