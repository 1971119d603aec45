import { originalNameOf } from '../../../lib/plan/match/rotated-name.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type Code, ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { Log } from '../../host/log.ts';
import { arrivalOf } from '../admission/admission.ts';
import { baseTag, heldIn, oldBases } from './last-received-hold.ts';

/** Datasets whose holds are moved at once. */
const atOnce = 4;

type Received = Pick<ReceiveStart, 'targetDataset' | 'to' | 'from' | 'origin' | 'before'>;

/** Keeps a hold on the newest received snapshot of each dataset. */
export interface LastReceivedHolds {
  /** A receive into the dataset has started. */
  began(targetDataset: string): void;
  received(step: Received): void;
  /** Moves all holds now, and resolves when that is done. */
  flush(): Promise<void>;
}

export const noLastReceivedHolds: LastReceivedHolds = {
  began: () => {},
  received: () => {},
  flush: async () => {},
};

interface Pending {
  snapshot: string;
  guid: string;
  /** The snapshot that this instance holds, if it is the stream's base: then no other instance has received since. */
  readonly follows: Known | undefined;
  unbroken: boolean;
  /** Datasets that were renamed for them, whose snapshots are the base of nothing. */
  readonly rotated: readonly string[];
  readonly since: number;
  cancel: () => void;
}

/** A hold of this instance. */
interface Known {
  readonly snapshot: string;
  readonly guid: string;
  readonly at: number;
}

export interface LastReceivedHoldDeps {
  readonly zfs: Pick<Zfs, 'hold' | 'holds' | 'list' | 'release'>;
  readonly log: Log;
  readonly clock: Pick<Clock, 'now' | 'after'>;
}

export function openLastReceivedHolds({ zfs, log, clock }: LastReceivedHoldDeps): LastReceivedHolds {
  const { holdQuietMs, holdMs, holdsKnownMs } = timing.receive;
  const pending = new Map<string, Pending>();
  const known = new Map<string, Known>();
  /** Each dataset has one queue, so that its holds move in order. */
  const queues: Promise<void>[] = Array.from({ length: atOnce }, () => Promise.resolve());
  const logFailure = failureLog(log);

  function wait(targetDataset: string, one: Pending, ms: number): void {
    one.cancel();
    one.cancel = clock.after(Math.max(0, ms), () => move(targetDataset));
  }
  const atLatest = ({ since }: Pending): number => since + holdMs - clock.now();

  function move(targetDataset: string): void {
    const one = pending.get(targetDataset);
    if (!one) return;
    one.cancel();
    pending.delete(targetDataset);
    const queue = queueOf(targetDataset);
    queues[queue] = (queues[queue] ?? Promise.resolve())
      .then(() => hold(targetDataset, one))
      .catch((thrown) => logFailure(targetDataset, thrown));
  }

  /** The new hold is set before the old ones are released. */
  async function hold(targetDataset: string, { snapshot, guid, follows, unbroken, rotated }: Pending): Promise<void> {
    known.delete(targetDataset);
    try {
      await zfs.hold(baseTag, [snapshot]);
    } finally {
      for (const name of rotated) await releaseAll(zfs, name);
    }
    // a snapshot of the same name was renamed with its hold, which only a listing finds
    const gone = follows && unbroken && follows.snapshot !== snapshot ? [follows.snapshot] : [];
    const found = gone.length > 0 ? await zfs.release(baseTag, gone) : { missing: true };
    if (found.missing) await releaseOld(zfs, targetDataset);
    for (const [name, { at }] of known) if (clock.now() - at > holdsKnownMs) known.delete(name);
    known.set(targetDataset, { snapshot, guid, at: clock.now() });
  }

  return {
    began(targetDataset) {
      const one = pending.get(targetDataset);
      if (one) wait(targetDataset, one, atLatest(one));
    },
    received(step) {
      const { targetDataset, to, from } = step;
      const snapshot = arrivalOf(step);
      const before = pending.get(targetDataset);
      const rotated = [...(before?.rotated ?? []), ...rotatedFrom(step)];
      if (before) {
        before.unbroken &&= before.guid === from?.guid;
        Object.assign(before, { snapshot, guid: to.guid, rotated });
        return wait(targetDataset, before, Math.min(holdQuietMs, atLatest(before)));
      }
      const last = known.get(targetDataset);
      const follows = last && step.origin === undefined && last.guid === from?.guid ? last : undefined;
      const since = clock.now();
      const cancel = clock.after(holdQuietMs, () => move(targetDataset));
      pending.set(targetDataset, { snapshot, guid: to.guid, follows, unbroken: true, rotated, since, cancel });
    },
    async flush() {
      for (const targetDataset of [...pending.keys()]) move(targetDataset);
      await Promise.all(queues);
    },
  };
}

/** The next receive tries again. Each code is a warning once. */
function failureLog(log: Log): (targetDataset: string, thrown: unknown) => void {
  const warned = new Set<Code>();
  return (targetDataset, thrown) => {
    const { code, message } = ZpsendError.from(thrown);
    const line = `cannot hold the newest snapshot of ${targetDataset}: ${code}: ${message}`;
    if (warned.has(code)) log.debug('hold.failed', line, { code });
    else
      log.warn(
        'hold.failed',
        `${line}. The received data is complete; receive.holdNewest: false disables these holds`,
        { code },
      );
    warned.add(code);
  };
}

/** Releases all last-received holds of a dataset. */
async function releaseAll(zfs: Pick<Zfs, 'list' | 'release'>, targetDataset: string): Promise<void> {
  const [entry] = await zfs.list({ dataset: targetDataset });
  const names = entry ? heldIn(entry) : [];
  if (names.length > 0) await zfs.release(baseTag, names);
}

/** Releases all last-received holds of a dataset but the newest. */
async function releaseOld(zfs: Pick<Zfs, 'holds' | 'list' | 'release'>, targetDataset: string): Promise<void> {
  const [entry] = await zfs.list({ dataset: targetDataset });
  const names = entry ? heldIn(entry) : [];
  if (!entry || names.length < 2) return;
  const based = (await zfs.holds(names)).filter(({ tag }) => tag === baseTag);
  const old = oldBases(entry, new Set(based.map(({ snapshot }) => snapshot)));
  if (old.length === 0) return;
  await zfs.release(
    baseTag,
    old.map(({ snapshot }) => `${targetDataset}@${snapshot.name}`),
  );
}

/** The datasets that were renamed for a step: by itself, or by an earlier try whose stream broke. */
function rotatedFrom({ targetDataset, before, origin }: Received): string[] {
  if (before?.kind === 'rename' && before.from === targetDataset) return [before.to];
  return origin !== undefined && originalNameOf(datasetOf(origin)) === targetDataset ? [datasetOf(origin)] : [];
}

const queueOf = (targetDataset: string): number =>
  Array.from(targetDataset).reduce((sum, character) => sum + character.charCodeAt(0), 0) % atOnce;
