import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, onTestFinished } from 'vitest';

const listener = fileURLToPath(new URL('notify-socket.py', import.meta.url));

/** The messages to systemd, as a real socket of its kind receives them. */
export async function useNotify({ isThere = true } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-notify-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const socket = join(folder, 'notify');
  const messages: string[] = [];
  async function listen(): Promise<void> {
    const child = execa('python3', [listener, socket], { reject: false, buffer: false });
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await child;
    });
    const ready = Promise.withResolvers<void>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message = JSON.parse(line);
      if (message !== 'listening') messages.push(message);
      ready.resolve();
    });
    await ready.promise;
  }
  if (isThere) await listen();
  const lines = (): string[] =>
    messages.flatMap((message) => message.split('\n')).filter((line) => !['', 'BARRIER=1'].includes(line));
  const shows = (pattern: RegExp, since = 0) =>
    expect
      .poll(
        () =>
          lines()
            .slice(since)
            .some((line) => pattern.test(line)),
        { timeout: 30_000 },
      )
      .toBe(true);
  return { env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000' }, lines, shows, listen };
}
