/** How one receiver of a shared stream fares at the moment. */
export interface ReceiverSample<Receiver> {
  readonly receiver: Receiver;
  /** It has no room, so the stream waits for it. */
  readonly full: boolean;
  /** How long it has waited for bytes, since the stream began, in milliseconds. */
  readonly idleMs: number;
}

/** Who of several receivers holds the others up. */
export interface Stragglers<Receiver> {
  /** Records one sample of all receivers; returns the one to drop. */
  sample(all: readonly ReceiverSample<Receiver>[], now: number): Receiver | undefined;
}

interface Sample<Receiver> {
  readonly all: readonly ReceiverSample<Receiver>[];
  readonly at: number;
}

/**
 * A receiver is a straggler when the stream had to wait for it in most of the last `samples`, and another one had nothing to do for more
 * than half of that time: without it, that one could be twice as fast. One that is only a little slower stays, and so does one that pauses.
 */
export function openStragglers<Receiver>(samples: number): Stragglers<Receiver> {
  let kept: Sample<Receiver>[] = [];

  const isSlow = (receiver: Receiver): boolean =>
    kept.filter(({ all }) => all.some((one) => one.full && one.receiver === receiver)).length > samples / 2;

  /** Was it idle for over half the time since the oldest sample? */
  function isIdle({ receiver, idleMs }: ReceiverSample<Receiver>, now: number): boolean {
    const [first] = kept;
    const before = first?.all.find((one) => one.receiver === receiver);
    return first !== undefined && before !== undefined && idleMs - before.idleMs > (now - first.at) / 2;
  }

  return {
    sample(all, now) {
      kept = [...kept, { all, at: now }].slice(-samples);
      if (kept.length < samples || !all.some((one) => isIdle(one, now))) return undefined;
      const straggler = all.find((one) => one.full && isSlow(one.receiver) && !isIdle(one, now));
      // those that are left are judged anew
      if (straggler) kept = [];
      return straggler?.receiver;
    },
  };
}
