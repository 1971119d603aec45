import { setTimeout as sleep } from 'node:timers/promises';
import { notifierOf } from '../../lib/machine/notify.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';

/** systemd, as far as it asks to be told how a service is (`Type=notify`, sd_notify(3)). Under anything else nothing is told. */
export interface Supervisor {
  /** The service serves. From here on its health is told, as long as it is good. */
  ready(checked: Checked): void;
  /** A line for `systemctl status`. */
  status(text: string): void;
  /** The service is about to end. Resolves when that is told. */
  stopping(why: string): Promise<void>;
}

/** What has to work for a service to be well. */
export interface Checked {
  readonly bus: { readonly connected: boolean };
  readonly bulk: { readonly connected: boolean };
  readonly zfs: Pick<Zfs, 'version'>;
  /** Which service it is and where it is connected, for people. */
  where(): string;
}

/** How the service is found to be. */
export interface Health {
  readonly isConnected: boolean;
  readonly zfs: 'answers' | 'fails' | 'hangs';
}

/** How often the health is looked at where no watchdog asks for it, in milliseconds. */
const usualMs = 20_000;
/** How long ZFS has to tell its version, in milliseconds. */
const zfsMs = 10_000;

/** What is told of a service's health: the watchdog hears nothing of one that is not well, and ends it in time. */
export function wordsOn({ isConnected, zfs }: Health, where: string): string[] {
  if (!isConnected) return [`STATUS=${where}: the connection to NATS is lost`];
  if (zfs === 'hangs') return [`STATUS=${where}: zfs does not answer within ${zfsMs / 1000} s`];
  // a host without ZFS answers too, and an error ends no service
  return ['WATCHDOG=1', `STATUS=${where}${zfs === 'fails' ? ': zfs answers with an error' : ''}`];
}

/** How often it is told, in milliseconds: thrice in the time that systemd waits. */
export const everyMs = ({ WATCHDOG_USEC }: NodeJS.ProcessEnv): number => {
  const watchdogMs = Number(WATCHDOG_USEC) / 1000;
  return watchdogMs > 0 ? Math.max(10, watchdogMs / 3) : usualMs;
};

const stateOf = (zfs: Checked['zfs']): Promise<Health['zfs']> =>
  Promise.race([
    zfs.version().then(
      () => 'answers' as const,
      () => 'fails' as const,
    ),
    sleep(zfsMs, 'hangs' as const, { ref: false }),
  ]);

export function openSupervisor(env: NodeJS.ProcessEnv, warn: (text: string) => void): Supervisor {
  const notify = notifierOf(env);
  return notify ? telling(notify, everyMs(env), warn) : { ready: () => {}, status: () => {}, stopping: async () => {} };
}

function telling(
  notify: (messages: readonly string[]) => Promise<void>,
  ms: number,
  warn: (text: string) => void,
): Supervisor {
  let queue: Promise<unknown> = Promise.resolve();
  let hasFailed = false;
  let timer: NodeJS.Timeout | undefined;

  /** One after the other, as they were said. */
  function tell(...words: string[]): Promise<void> {
    const told = queue.then(async () => {
      try {
        await notify(words);
      } catch (error) {
        if (!hasFailed)
          warn(`systemd is not told how this service is: ${error instanceof Error ? error.message : error}`);
        hasFailed = true;
      }
    });
    queue = told;
    return told;
  }

  return {
    ready(checked) {
      let isLooking = false;
      const look = async (): Promise<void> => {
        if (isLooking) return;
        isLooking = true;
        const zfs = await stateOf(checked.zfs);
        const isConnected = checked.bus.connected && checked.bulk.connected;
        isLooking = false;
        if (timer) await tell(...wordsOn({ isConnected, zfs }, checked.where()));
      };
      timer = setInterval(() => void look(), ms);
      timer.unref();
      void tell('READY=1', `STATUS=${checked.where()}`);
    },
    status: (text) => void tell(`STATUS=${text}`),
    stopping(why) {
      clearInterval(timer);
      timer = undefined;
      return tell('STOPPING=1', `STATUS=stopping: ${why}`);
    },
  };
}
