import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { timing } from '../time/timing.ts';

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** The kernel's CLOCK_MONOTONIC, which `process.hrtime` reads on Linux (uv_hrtime of libuv). */
export const monotonicMicroseconds = (): bigint => process.hrtime.bigint() / 1000n;

/**
 * Reports the state of this service to systemd (sd_notify(3): `READY=1`, `STATUS=...`). Node has no Unix datagram sockets, so this runs
 * `systemd-notify`, which the unit allows with `NotifyAccess=all`.
 * @returns undefined if systemd does not expect it, or a function that rejects if the message cannot be sent
 */
export function notifierOf(env: NodeJS.ProcessEnv): ((messages: readonly string[]) => Promise<void>) | undefined {
  if (!env.NOTIFY_SOCKET) return undefined;
  const run = promisify(execFile);
  return async (messages) =>
    void (await run('systemd-notify', messages.map(oneLine), { env, timeout: timing.machine.notifyMs }));
}
