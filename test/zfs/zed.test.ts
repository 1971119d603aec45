import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isReal, lab } from '../contract/zfs-under-test.ts';
import { startZed } from './zed.ts';

const zfs = lab();

/** A zed whose `nats` records its arguments. @returns what was recorded */
function useZed(): () => string[] {
  const written = join(mkdtempSync(join(tmpdir(), 'zpsend-zed-')), 'published');
  startZed(`#!/bin/sh\nprintf '%s|%s|%s\\n' "$@" >>${written}\n`);
  return () => (existsSync(written) ? readFileSync(written, 'utf8').split('\n').slice(0, -1) : []);
}

test.runIf(isReal)('ZED announces each snapshot that OpenZFS makes, received ones included', async () => {
  const written = useZed();
  const { source, target } = zfs;
  for (const name of ['zed', 'zed/a', 'zed/my data']) zfs.ok('create', `${source}/${name}`);
  // nothing is published until zed listens
  let tries = 0;
  const first = () => {
    zfs.ok('snapshot', `${source}/zed@try${tries++}`);
    return written().length;
  };
  await expect.poll(first, { interval: 2000 }).toBeGreaterThan(0);
  zfs.ok('snapshot', '-r', `${source}/zed@now`);
  const published = () => written().map((line) => line.split('|').slice(1));
  const subject = expect.stringMatching(/^zfs\.[A-Za-z0-9_-]+\.event\.snapshot\.created$/);
  await expect
    .poll(published)
    .toEqual(
      expect.arrayContaining(['zed@now', 'zed/a@now', 'zed/my data@now'].map((name) => [subject, `${source}/${name}`])),
    );
  zfs.feed(zfs.stream(`${source}/zed/a@now`), 'receive', '-u', `${target}/zed`);
  await expect.poll(published).toEqual(expect.arrayContaining([[subject, `${target}/zed@now`]]));
  expect(published().flat().join('\n')).not.toContain('%');
  zfs.ok('destroy', `${source}/zed@now`);
});
