import { isatty } from 'node:tty';
import type { Clock } from '../../lib/time/clock.ts';
import { timing } from '../../lib/time/timing.ts';

/** The requests to read the configuration again. */
export interface ReloadRequests {
  add(): void;
  /** Serves each request, and those so far. Requests of one moment are one. */
  serve(reload: () => void): void;
  /** Ignores all further requests. */
  stop(): void;
}

export function openReloadRequests(clock: Pick<Clock, 'after'>): ReloadRequests {
  let isRequested = false;
  let isStopped = false;
  let cancel: (() => void) | undefined;
  let work: (() => void) | undefined;

  function schedule(): void {
    if (!work || !isRequested || cancel || isStopped) return;
    cancel = clock.after(timing.service.reloadMs, () => {
      cancel = undefined;
      isRequested = false;
      work?.();
    });
  }

  return {
    add() {
      isRequested = true;
      schedule();
    },
    serve(reload) {
      work = reload;
      schedule();
    },
    stop() {
      isStopped = true;
      cancel?.();
    },
  };
}

/**
 * Does a SIGHUP end the service? A private sender ends with the terminal of its command, and any other service with the terminal in
 * which it was started, which is one no longer when it hangs up. Otherwise a service reads its configuration again.
 */
export const isHangUp = (isPrivate: boolean, hadTerminal: boolean, hasTerminal: boolean): boolean =>
  isPrivate || (hadTerminal && !hasTerminal);

/** Resolves with the end of the service: a signal, or the closing of standard input. @param onReload called at each request to reload */
export function endOfService(isPrivate: boolean, onReload: () => void): Promise<string> {
  const hadTerminal = isatty(0);
  return new Promise((resolve) => {
    // the listeners stay: without one, the clean-up of child processes would end this process at once
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
    process.on('SIGHUP', () => (isHangUp(isPrivate, hadTerminal, isatty(0)) ? resolve('SIGHUP') : onReload()));
    if (isPrivate)
      process.stdin
        .once('end', () => resolve('the command has ended'))
        .once('error', () => {})
        .resume();
  });
}
