import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { isReal, lab } from '../contract/zfs-under-test.ts';

const zfs = lab();
const script = fileURLToPath(new URL('../../deploy/zed/history_event-zpsend.sh', import.meta.url));

/** A zed of its own whose only ZEDLET is ours, and a `nats` that writes down what it is given. Gives what was written. */
function useZed(): () => string[] {
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-zed-'));
  const [zedlets, bin, said] = ['zed.d', 'bin', 'said'].map((name) => join(folder, name)) as [string, string, string];
  mkdirSync(zedlets);
  mkdirSync(bin);
  copyFileSync(script, join(zedlets, 'history_event-zpsend.sh'));
  // zed runs nothing that others may write to
  chmodSync(join(zedlets, 'history_event-zpsend.sh'), 0o755);
  writeFileSync(join(bin, 'nats'), `#!/bin/sh\nprintf '%s|%s|%s\\n' "$@" >>${said}\n`);
  chmodSync(join(bin, 'nats'), 0o755);
  const files = ['-d', zedlets, '-p', join(folder, 'pid'), '-s', join(folder, 'state')];
  // in the foreground, with a PATH of our own for its ZEDLETs (zed(8): -P is for tests)
  const zed = spawn('zed', ['-F', '-f', '-v', '-P', `${bin}:/usr/bin:/bin`, ...files], { stdio: 'ignore' });
  onTestFinished(() => {
    zed.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return () =>
    existsSync(said)
      ? readFileSync(said, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
      : [];
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
