import { type Clock, systemClock } from '../../time/clock.ts';

/** Both ends of a transfer send something about twice a second. A peer that sends nothing for too long is gone. */
export interface Heartbeat {
  /** How often the peer sent something. */
  readonly count: number;
  /** To be called each time that the peer sends something. */
  heard(): void;
  stop(): void;
}

export interface HeartbeatHandlers {
  /** Time to send something. */
  beat(): void;
  /** The peer sent nothing for too long. Called once. */
  silent(): void;
}

/** @param silenceMs how long the peer may send nothing */
export function openHeartbeat(silenceMs: number, handlers: HeartbeatHandlers, clock: Clock = systemClock): Heartbeat {
  let count = 0;
  let last = clock.now();
  let isStopped = false;

  const isSilent = (): boolean => clock.now() - last >= silenceMs;
  const cancel = clock.every(Math.min(250, silenceMs / 4), () => {
    handlers.beat();
    // a process that was stopped for a while first reads what arrived meanwhile
    if (isSilent()) setImmediate(() => setImmediate(conclude));
  });
  function conclude(): void {
    if (isStopped || !isSilent()) return;
    stop();
    handlers.silent();
  }
  function stop(): void {
    isStopped = true;
    cancel();
  }

  return {
    get count() {
      return count;
    },
    heard() {
      count += 1;
      last = clock.now();
    },
    stop,
  };
}
