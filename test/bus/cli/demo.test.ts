import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { mentions } from '../../support/mentions.ts';

// the demo starts everything at once
vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL('../../../bin/zpsend.ts', import.meta.url));

/** A demo on the simulator, with all temporary files in one folder. */
async function startDemo() {
  const temporary = await mkdtemp(join(tmpdir(), 'zpsend-demo-test-'));
  onTestFinished(() => rm(temporary, { recursive: true, force: true }));
  const running = execa(process.execPath, [bin, 'demo', '--simulator'], {
    // settings of a real NATS or host are ignored
    env: { TMPDIR: temporary, NATS_URL: 'nats://127.0.0.1:1', ZPSEND_HOST: 'not-a.host' },
    reject: false,
  });
  const left = async () => (await readdir(temporary)).filter((name) => name.startsWith('zpsend-'));
  return { running, left };
}

const servicesIn = (text: string): number[] => [
  ...new Set(Array.from(text.matchAll(/zpsend\/(\d+) on/g), ([, pid]) => Number(pid))),
];

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('the demo replicates the seven snapshots, has nothing to do the second time, and leaves nothing', async () => {
  const { running, left } = await startDemo();
  const { stdout, exitCode } = await running;
  for (const name of ['now', 'now2', '8550', '18569', '20392', '30577', '4387']) {
    expect(stdout).toContain(`received zones/test@${name} into zones/test`);
  }
  expect(stdout).toEqual(mentions('zones/test', 'smos-00', 'done', '7 steps', '7 of 7'));
  expect(stdout).toContain('the server has all my snapshots');
  expect(exitCode).toBe(0);
  expect(await left()).toEqual([]);
  expect(servicesIn(stdout).filter(isAlive)).toEqual([]);
});

test.each([
  ['SIGINT', 130],
  ['SIGKILL', undefined],
] as const)('the demo ended by %s leaves nothing behind', async (signal, status) => {
  const { running, left } = await startDemo();
  let text = '';
  const isSending = Promise.withResolvers<void>();
  running.stdout.on('data', (chunk) => {
    text += chunk;
    if (text.includes('an initial seed needed')) isSending.resolve();
  });
  await isSending.promise;
  running.kill(signal);
  expect((await running).exitCode).toBe(status);
  const pids = servicesIn(text);
  expect(pids).toHaveLength(2);
  await expect.poll(left, { timeout: 20_000 }).toEqual([]);
  await expect.poll(() => pids.filter(isAlive), { timeout: 20_000 }).toEqual([]);
});
