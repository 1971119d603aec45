import { monotonicMicroseconds, notifierOf } from '../../lib/machine/notify.ts';
import type { Clock } from '../../lib/time/clock.ts';
import { timing } from '../../lib/time/timing.ts';

/**
 * systemd, as far as it asks for the state of a service (`Type=notify`, sd_notify(3)). Under anything else nothing is sent.
 * Only the event loop feeds the watchdog: a restart fixes neither NATS nor ZFS, and ends the jobs that would outlast their failures.
 */
export interface Supervisor {
  /** The configuration is read. From here on systemd takes the service for started, and its watchdog gets a message while the event loop turns. */
  ready(text: string): void;
  /** The service serves. From here on the line for `systemctl status` is kept up to date. */
  serves(serving: Serving): void;
  /** A line for `systemctl status`. */
  status(text: string): void;
  /** Reads the configuration again, and reports when that begins and that it is over. */
  reload(work: () => void): void;
  /** The service is about to end. Resolves when systemd has that. */
  stopping(why: string): Promise<void>;
}

/** A service at work, for people. */
export interface Serving {
  readonly bus: { readonly connected: boolean };
  readonly dataConnection: { readonly connected: boolean };
  /** Which service it is and where it is connected. */
  where(): string;
  /** Why it serves nothing, or not all, though it is connected. */
  trouble(): string | undefined;
}

/** The line for `systemctl status`. */
export function statusOf({ bus, dataConnection, where, trouble }: Serving): string {
  if (!bus.connected || !dataConnection.connected) return `${where()}: the connection to NATS is lost`;
  const why = trouble();
  return why === undefined ? where() : `${where()}: ${why}`;
}

/** How often it gets a message, in ms: three times in the time that systemd waits. */
export const everyMs = ({ WATCHDOG_USEC }: NodeJS.ProcessEnv): number => {
  const watchdogMs = Number(WATCHDOG_USEC) / 1000;
  return watchdogMs > 0 ? Math.max(10, watchdogMs / 3) : timing.machine.supervisorMs;
};

/** @param env the environment of the service; @param warn called once when systemd cannot be reached */
export function openSupervisor(env: NodeJS.ProcessEnv, warn: (text: string) => void, clock: Clock): Supervisor {
  const notify = notifierOf(env);
  if (notify) return withSystemd(notify, everyMs(env), warn, clock);
  return { ready: () => {}, serves: () => {}, status: () => {}, reload: (work) => work(), stopping: async () => {} };
}

const reloading = 'RELOADING=1';

function withSystemd(
  notify: (messages: readonly string[]) => Promise<void>,
  ms: number,
  warn: (text: string) => void,
  clock: Clock,
): Supervisor {
  let queue: Promise<unknown> = Promise.resolve();
  let [hasFailed, owesReady, isFeeding, isStopping] = [false, true, false, false];
  let stopFeeding: (() => void) | undefined;
  let serving: Serving | undefined;

  /** One after the other, in their order. */
  function send(...words: string[]): Promise<void> {
    const sent = queue.then(async () => {
      const isReload = words.includes(reloading);
      // systemd waits for this word, so one that did not arrive is repeated
      const ready = stopFeeding && owesReady && !isReload ? ['READY=1'] : [];
      try {
        await notify([...ready, ...words]);
        owesReady = isReload || (owesReady && ready.length === 0);
      } catch (error) {
        if (!hasFailed)
          warn(`systemd gets no state of this service: ${error instanceof Error ? error.message : error}`);
        hasFailed = true;
      }
    });
    queue = sent;
    return sent;
  }

  async function feedWatchdog(): Promise<void> {
    if (isFeeding) return;
    isFeeding = true;
    await send('WATCHDOG=1', ...(serving ? [`STATUS=${statusOf(serving)}`] : []));
    isFeeding = false;
  }

  return {
    ready(text) {
      stopFeeding = clock.every(ms, () => void feedWatchdog());
      void send(`STATUS=${text}`);
    },
    serves(what) {
      serving = what;
      void send(`STATUS=${statusOf(what)}`);
    },
    status(text) {
      if (!isStopping) void send(`STATUS=${text}`);
    },
    reload(work) {
      // systemd compares the time with that of its own request (sd_notify(3))
      void send(reloading, `MONOTONIC_USEC=${monotonicMicroseconds()}`);
      work();
      void send(...(serving ? [`STATUS=${statusOf(serving)}`] : []));
    },
    stopping(why) {
      isStopping = true;
      stopFeeding?.();
      stopFeeding = undefined;
      return send('STOPPING=1', `STATUS=stopping: ${why}`);
    },
  };
}
