import { exit } from '../exit-codes.ts';

export interface Interrupt {
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  stop(): void;
}

/** The first Ctrl-C aborts the signal, so that jobs end cleanly. The second ends the command at once. */
export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  const interrupted = () => {
    if (controller.signal.aborted) process.exit(exit.interrupted);
    controller.abort();
  };
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
  return {
    signal: controller.signal,
    stop: () => void process.off('SIGINT', interrupted).off('SIGTERM', interrupted),
  };
}
