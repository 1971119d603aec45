/** How one receiver of a shared stream fares at the moment. */
export interface Fares<Receiver> {
  readonly receiver: Receiver;
  /** It has no room, so the stream waits for it. */
  readonly full: boolean;
  /** How long it has waited for bytes, since the stream began, in milliseconds. */
  readonly idleMs: number;
}

/** Who of several receivers holds the others up. */
export interface Stragglers<Receiver> {
  /** Takes account of one look at all of them. Returns one that is to be left behind. */
  look(all: readonly Fares<Receiver>[], now: number): Receiver | undefined;
}

interface Look<Receiver> {
  readonly all: readonly Fares<Receiver>[];
  readonly at: number;
}

/**
 * A receiver is a straggler when the stream had to wait for it in most of the last `looks`, and another one had nothing to do for more
 * than half of that time: without it, that one could be twice as fast. One that is only a little slower is borne, and so is a pause.
 */
export function openStragglers<Receiver>(looks: number): Stragglers<Receiver> {
  let seen: Look<Receiver>[] = [];

  const isSlow = (receiver: Receiver): boolean =>
    seen.filter(({ all }) => all.some((one) => one.full && one.receiver === receiver)).length > looks / 2;

  /** Since the first look that is remembered. */
  function isIdle({ receiver, idleMs }: Fares<Receiver>, now: number): boolean {
    const [first] = seen;
    const before = first?.all.find((one) => one.receiver === receiver);
    return first !== undefined && before !== undefined && idleMs - before.idleMs > (now - first.at) / 2;
  }

  return {
    look(all, now) {
      seen = [...seen, { all, at: now }].slice(-looks);
      if (seen.length < looks || !all.some((one) => isIdle(one, now))) return undefined;
      const straggler = all.find((one) => one.full && isSlow(one.receiver) && !isIdle(one, now));
      // those that are left are judged anew
      if (straggler) seen = [];
      return straggler?.receiver;
    },
  };
}
