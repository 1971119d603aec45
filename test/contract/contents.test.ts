import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ContentDigest } from '../../lib/verify/content-digest.ts';
import { isReal, lab, MIB } from './zfs-under-test.ts';

const z = lab();
const fs = `${z.source}/a`;
const enc = `${z.source}/enc`;
const folder = mkdtempSync(join(tmpdir(), 'zfs-contents-'));
const key = ['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=file://${folder}/key`];
const names = ['1', '2', '3'];

beforeAll(() => {
  writeFileSync(join(folder, 'key'), '12345678\n');
  z.ok('create', fs);
  z.ok('create', ...key, enc);
  for (const name of names) {
    for (const dataset of [fs, enc]) {
      z.write(dataset, 300_001);
      z.ok('snapshot', `${dataset}@${name}`);
    }
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The digest of a full stream of a snapshot, read in pieces of an odd size. */
function read(snapshot: string, ...flags: string[]) {
  const stream = z.stream(...flags, snapshot);
  const digest = new ContentDigest();
  for (let at = 0; at < stream.length; at += 65_521) digest.push(stream.subarray(at, at + 65_521));
  return digest.result();
}

const receive = (stream: Buffer, to: string, ...options: string[]) =>
  expect(z.feed(stream, 'receive', '-s', '-u', ...options, to)).toMatchObject({ exit: 0 });

function replicate(source: string, target: string, flags: string[], options: string[] = []): void {
  receive(z.stream(...flags, `${source}@1`), target, ...options);
  for (const [from, to] of [
    ['1', '2'],
    ['2', '3'],
  ])
    receive(z.stream(...flags, '-i', `@${from}`, `${source}@${to}`), target);
}

describe('the digest of a snapshot', () => {
  test('differs for each snapshot, and is the same each time', () => {
    const digests = names.map((name) => read(`${fs}@${name}`).digest);
    expect(new Set(digests).size).toBe(3);
    expect(names.map((name) => read(`${fs}@${name}`).digest)).toEqual(digests);
  });

  test.each<[string, string[], string[]]>([
    ['by increments', [], []],
    ['with other properties', [], ['-o', 'compression=off', '-o', 'recordsize=16K']],
    ['with large and compressed blocks', ['-L', '-c'], ['-o', 'compression=gzip']],
  ])('equals that of its replica, sent %s', (what, flags, options) => {
    const to = `${z.target}/${what.replaceAll(/\W+/g, '-')}`;
    replicate(fs, to, flags, options);
    for (const name of names) expect(read(`${to}@${name}`), name).toEqual(read(`${fs}@${name}`));
  });

  test('is equal for a replica that was interrupted and resumed', async () => {
    const big = `${z.source}/big`;
    const to = `${z.target}/resumed`;
    z.ok('create', big);
    z.write(big, 8 * MIB);
    z.ok('snapshot', `${big}@1`);
    expect(z.feed(z.stream(`${big}@1`).subarray(0, 5 * MIB), 'receive', '-s', '-u', to).exit).toBe(1);
    receive(z.stream('-t', z.value('receive_resume_token', to)), to);
    expect(read(`${to}@1`)).toEqual(read(`${big}@1`));
  });
});

describe('of an encrypted dataset', () => {
  test('a raw replica has the same raw digest, and the same plain one if its key is loaded', () => {
    const to = `${z.target}/raw`;
    replicate(enc, to, ['-w']);
    for (const name of names) expect(read(`${to}@${name}`, '-w'), name).toEqual(read(`${enc}@${name}`, '-w'));
    expect(read(`${to}@1`, '-w').method).toMatch(/^raw-/);
    z.ok('load-key', '-L', `file://${folder}/key`, to);
    expect(read(`${to}@3`)).toEqual(read(`${enc}@3`));
  });

  test('a plain replica has the same plain digest, unencrypted or newly encrypted', () => {
    replicate(enc, `${z.target}/clear`, []);
    z.ok('create', ...key, `${z.target}/locked`);
    replicate(enc, `${z.target}/locked/anew`, []);
    for (const to of ['clear', 'locked/anew']) expect(read(`${z.target}/${to}@3`)).toEqual(read(`${enc}@3`));
  });

  // the simulator encrypts nothing
  test.runIf(isReal)('a newly encrypted replica has another IV set, so that it cannot be compared raw', () => {
    const [ours, theirs] = [read(`${enc}@3`, '-w'), read(`${z.target}/locked/anew@3`, '-w')];
    expect(ours.ivSet).toMatch(/^\d+$/);
    expect(theirs.ivSet).not.toBe(ours.ivSet);
    expect(theirs.digest).not.toBe(ours.digest);
  });
});
