import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isReal, lab } from '../contract/zfs-under-test.ts';
import { startZed } from './zed.ts';

const zfs = lab();

/** A zed whose `nats` writes down what it is given. Gives what was written. */
function useZed(): () => string[] {
  const said = join(mkdtempSync(join(tmpdir(), 'zpsend-said-')), 'said');
  startZed(`#!/bin/sh\nprintf '%s|%s|%s\\n' "$@" >>${said}\n`);
  return () => (existsSync(said) ? readFileSync(said, 'utf8').split('\n').slice(0, -1) : []);
}

test.runIf(isReal)('ZED tells of each snapshot that OpenZFS makes, one that is received included', async () => {
  const said = useZed();
  const { source, target } = zfs;
  for (const name of ['zed', 'zed/a', 'zed/my data']) zfs.ok('create', `${source}/${name}`);
  // until zed listens nothing is heard
  let tries = 0;
  const first = () => {
    zfs.ok('snapshot', `${source}/zed@try${tries++}`);
    return said().length;
  };
  await expect.poll(first, { interval: 2000 }).toBeGreaterThan(0);
  zfs.ok('snapshot', '-r', `${source}/zed@now`);
  const heard = () => said().map((line) => line.split('|').slice(1));
  const subject = expect.stringMatching(/^zfs\.[A-Za-z0-9_-]+\.event\.snapshot\.created$/);
  await expect
    .poll(heard)
    .toEqual(
      expect.arrayContaining(['zed@now', 'zed/a@now', 'zed/my data@now'].map((name) => [subject, `${source}/${name}`])),
    );
  zfs.feed(zfs.stream(`${source}/zed/a@now`), 'receive', '-u', `${target}/zed`);
  await expect.poll(heard).toEqual(expect.arrayContaining([[subject, `${target}/zed@now`]]));
  expect(heard().flat().join('\n')).not.toContain('%');
  zfs.ok('destroy', `${source}/zed@now`);
});
