import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const name = 'history_event-zpsend.sh';
const script = fileURLToPath(new URL(`../../deploy/zed/${name}`, import.meta.url));

/**
 * Starts a zed whose only ZEDLET is ours, until the test is over.
 * @param nats the script that stands for the `nats` CLI
 */
export function startZed(nats: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-zed-'));
  const [zedlets, bin] = ['zed.d', 'bin'].map((part) => join(folder, part)) as [string, string];
  mkdirSync(zedlets);
  mkdirSync(bin);
  copyFileSync(script, join(zedlets, name));
  // zed runs nothing that others may write to
  chmodSync(join(zedlets, name), 0o755);
  writeFileSync(join(bin, 'nats'), nats);
  chmodSync(join(bin, 'nats'), 0o755);
  const files = ['-d', zedlets, '-p', join(folder, 'pid'), '-s', join(folder, 'state')];
  // in the foreground, with a PATH of our own for its ZEDLETs (zed(8): -P is for tests)
  const zed = spawn('zed', ['-F', '-f', '-v', '-P', `${bin}:/usr/bin:/bin`, ...files], { stdio: 'ignore' });
  onTestFinished(() => {
    zed.kill();
    rmSync(folder, { recursive: true, force: true });
  });
}
