/** Both ends of a transfer speak about twice a second, and take a peer that does not for gone. */
export interface Heartbeat {
  /** How often the peer was heard. */
  readonly count: number;
  /** The peer said something. */
  heard(): void;
  stop(): void;
}

export interface HeartbeatHandlers {
  /** Time to say something. */
  beat(): void;
  /** The peer was not heard for too long. Called once. */
  silent(): void;
}

/** @param silenceMs how long the peer may be silent, in milliseconds */
export function openHeartbeat(silenceMs: number, handlers: HeartbeatHandlers): Heartbeat {
  let count = 0;
  let last = performance.now();

  const isSilent = (): boolean => performance.now() - last >= silenceMs;
  const timer = setInterval(
    () => {
      handlers.beat();
      // a process that was stopped for a while first reads what came meanwhile
      if (isSilent()) setImmediate(() => setImmediate(conclude));
    },
    Math.min(250, silenceMs / 4),
  );
  function conclude(): void {
    if (!stopped && isSilent()) {
      stop();
      handlers.silent();
    }
  }
  let stopped = false;
  function stop(): void {
    stopped = true;
    clearInterval(timer);
  }

  return {
    get count() {
      return count;
    },
    heard() {
      count += 1;
      last = performance.now();
    },
    stop,
  };
}
