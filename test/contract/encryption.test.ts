import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lab } from './zfs-under-test.ts';

const z = lab();
const fs = `${z.source}/enc`;
const folder = mkdtempSync(join(tmpdir(), 'zfs-key-'));
const streams: Record<'raw1' | 'raw12' | 'plain1' | 'plain12', Buffer> = {
  raw1: Buffer.of(),
  raw12: Buffer.of(),
  plain1: Buffer.of(),
  plain12: Buffer.of(),
};

beforeAll(() => {
  writeFileSync(join(folder, 'key'), '12345678\n');
  const key = ['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=file://${folder}/key`];
  z.ok('create', ...key, fs);
  z.write(fs, 500_000);
  z.ok('snapshot', `${fs}@1`);
  z.write(fs, 200_000);
  z.ok('snapshot', `${fs}@2`);
  streams.raw1 = z.stream('-w', `${fs}@1`);
  streams.raw12 = z.stream('-w', '-i', '@1', `${fs}@2`);
  streams.plain1 = z.stream(`${fs}@1`);
  streams.plain12 = z.stream('-i', '@1', `${fs}@2`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const receive = (stream: Buffer, to: string) => z.feed(stream, 'receive', '-s', '-u', to);

test('an encrypted dataset shows its cipher, its encryption root, and whether its key is loaded', () => {
  expect(z.ok('list', '-H', '-o', 'encryption,keystatus,encryptionroot', fs)).toEqual([
    `aes-256-gcm\tavailable\t${fs}`,
  ]);
});

test('properties are sent only with a raw stream', () => {
  const { exit, stderr } = z.zfs('send', '-p', `${fs}@1`);
  expect(exit).toBe(1);
  expect(stderr).toMatch(/may not be sent with properties without the raw flag/);
});

test('a raw stream arrives encrypted, its key not loaded', () => {
  const to = `${z.target}/raw`;
  expect(receive(streams.raw1, to).exit).toBe(0);
  expect(z.ok('list', '-H', '-o', 'encryption,keystatus,encryptionroot', to)).toEqual([
    `aes-256-gcm\tunavailable\t${to}`,
  ]);
  expect(z.value('guid', `${to}@1`)).toBe(z.value('guid', `${fs}@1`));
  expect(receive(streams.plain12, to).stderr).toBe('cannot receive incremental stream: inherited key must be loaded\n');
  expect(receive(streams.plain1, `${to}/below`).stderr).toBe(
    'cannot receive new filesystem stream: inherited key must be loaded\n',
  );
  expect(z.zfs('create', `${to}/kid`).stderr).toMatch(/encryption root's key is not loaded or provided\n$/);
  expect(z.zfs('mount', to).stderr).toBe(`cannot mount '${to}': encryption key not loaded\n`);
  expect(receive(streams.raw12, to).exit).toBe(0);
});

test('a plain stream arrives plain, and a raw one cannot follow it', () => {
  const to = `${z.target}/plain`;
  expect(receive(streams.plain1, to).exit).toBe(0);
  expect(z.value('encryption', to)).toBe('off');
  expect(receive(streams.raw12, to).stderr).toBe(
    'cannot receive incremental stream: cannot perform raw receive on top of existing unencrypted dataset\n',
  );
  expect(receive(streams.plain12, to).exit).toBe(0);
});

test('a dataset without its key is sent only raw', () => {
  z.zfs('unmount', fs);
  z.ok('unload-key', fs);
  const { exit, stderr } = z.zfs('send', `${fs}@1`);
  expect([exit, stderr]).toEqual([1, `warning: cannot send '${fs}@1': dataset key must be loaded\n`]);
  expect(z.stream('-w', `${fs}@1`).length).toBeGreaterThan(400_000);
});
