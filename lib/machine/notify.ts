import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { timing } from '../time/timing.ts';

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/**
 * Tells systemd how this service is, as sd_notify(3) has it (`READY=1`, `STATUS=...`). Undefined where systemd does not ask for it. Node has no
 * datagram sockets of this kind, so `systemd-notify` is run; the unit allows that with `NotifyAccess=all`.
 * @returns a function that rejects where the message could not be sent
 */
export function notifierOf(env: NodeJS.ProcessEnv): ((messages: readonly string[]) => Promise<void>) | undefined {
  if (!env.NOTIFY_SOCKET) return undefined;
  const run = promisify(execFile);
  return async (messages) =>
    void (await run('systemd-notify', messages.map(oneLine), { env, timeout: timing.machine.notifyMs }));
}
