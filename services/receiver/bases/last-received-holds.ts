import { originalNameOf } from '../../../lib/plan/match/rotated-name.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type Code, ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { Log } from '../../host/log.ts';
import { arrivalOf } from '../admission/admission.ts';
import { baseTag, heldIn, oldBases } from './last-received-hold.ts';

/** Datasets that are settled at once. */
const atOnce = 4;

type Arrived = Pick<ReceiveStart, 'dataset' | 'to' | 'from' | 'origin' | 'before'>;

/** Keeps a hold on the newest received snapshot of each dataset. */
export interface BaseHolds {
  /** A receive into the dataset has begun. */
  began(dataset: string): void;
  arrived(step: Arrived): void;
  /** Settles all at once, and resolves when everything is. */
  flush(): Promise<void>;
}

export const noBaseHolds: BaseHolds = { began: () => {}, arrived: () => {}, flush: async () => {} };

interface Pending {
  snapshot: string;
  guid: string;
  /** Follows without a gap on what this instance holds, so nobody else has received since. */
  readonly follows: Held | undefined;
  unbroken: boolean;
  /** What was moved aside for them, and is the base of nothing any more. */
  readonly asides: readonly string[];
  readonly since: number;
  timer: NodeJS.Timeout;
}

interface Held {
  readonly snapshot: string;
  readonly guid: string;
  readonly at: number;
}

export interface BaseHoldDeps {
  readonly zfs: Pick<Zfs, 'hold' | 'holds' | 'list' | 'release'>;
  readonly log: Log;
  readonly quietMs?: number;
  readonly mostMs?: number;
}

export function openBaseHolds({ zfs, log, ...times }: BaseHoldDeps): BaseHolds {
  const quiet = times.quietMs ?? timing.receive.holdQuietMs;
  const most = times.mostMs ?? timing.receive.holdMs;
  const pending = new Map<string, Pending>();
  const held = new Map<string, Held>();
  /** A dataset has its lane, so that it is settled in the order of its arrivals. */
  const lanes: Promise<void>[] = Array.from({ length: atOnce }, () => Promise.resolve());
  const said = new Set<Code>();

  function wait(dataset: string, one: Pending, ms: number): void {
    clearTimeout(one.timer);
    one.timer = setTimeout(() => settle(dataset), Math.max(0, ms));
  }
  const atLatest = ({ since }: Pending): number => since + most - performance.now();

  function settle(dataset: string): void {
    const one = pending.get(dataset);
    if (!one) return;
    clearTimeout(one.timer);
    pending.delete(dataset);
    const lane = laneOf(dataset);
    lanes[lane] = (lanes[lane] ?? Promise.resolve())
      .then(() => hold(dataset, one))
      .catch((thrown) => refused(dataset, thrown));
  }

  /** The new one first, and then the old ones go. */
  async function hold(dataset: string, { snapshot, guid, follows, unbroken, asides }: Pending): Promise<void> {
    held.delete(dataset);
    try {
      await zfs.hold(baseTag, [snapshot]);
    } finally {
      for (const aside of asides) await releaseAll(zfs, aside);
    }
    // one of that name was renamed there, with its hold, which is found by listing
    const gone = follows && unbroken && follows.snapshot !== snapshot ? [follows.snapshot] : [];
    const found = gone.length > 0 ? await zfs.release(baseTag, gone) : { missing: true };
    if (found.missing) await releaseOld(zfs, dataset);
    for (const [name, { at }] of held) if (performance.now() - at > timing.receive.holdsKnownMs) held.delete(name);
    held.set(dataset, { snapshot, guid, at: performance.now() });
  }

  /** Another receive finds it right again; what this user may not do is said once. */
  function refused(dataset: string, thrown: unknown): void {
    const { code, message } = ZpsendError.from(thrown);
    const line = `cannot hold the newest snapshot of ${dataset}: ${code}: ${message}`;
    if (said.has(code)) log.debug('hold.failed', line, { code });
    else
      log.warn(
        'hold.failed',
        `${line}. What was received is good; receive.holdNewest: false is the way to do without`,
        { code },
      );
    said.add(code);
  }

  return {
    began(dataset) {
      const one = pending.get(dataset);
      if (one) wait(dataset, one, atLatest(one));
    },
    arrived(step) {
      const { dataset, to, from } = step;
      const snapshot = arrivalOf(step);
      const before = pending.get(dataset);
      const asides = [...(before?.asides ?? []), ...rotatedFrom(step)];
      if (before) {
        before.unbroken &&= before.guid === from?.guid;
        Object.assign(before, { snapshot, guid: to.guid, asides });
        return wait(dataset, before, Math.min(quiet, atLatest(before)));
      }
      const last = held.get(dataset);
      const follows = last && step.origin === undefined && last.guid === from?.guid ? last : undefined;
      const since = performance.now();
      const timer = setTimeout(() => settle(dataset), quiet);
      pending.set(dataset, { snapshot, guid: to.guid, follows, unbroken: true, asides, since, timer });
    },
    async flush() {
      for (const dataset of [...pending.keys()]) settle(dataset);
      await Promise.all(lanes);
    },
  };
}

/** Releases all that zpsend holds of a dataset. */
async function releaseAll(zfs: Pick<Zfs, 'list' | 'release'>, dataset: string): Promise<void> {
  const [entry] = await zfs.list({ dataset });
  const names = entry ? heldIn(entry) : [];
  if (names.length > 0) await zfs.release(baseTag, names);
}

/** Releases what zpsend holds of a dataset, but for the base of its next incremental. */
async function releaseOld(zfs: Pick<Zfs, 'holds' | 'list' | 'release'>, dataset: string): Promise<void> {
  const [entry] = await zfs.list({ dataset });
  const names = entry ? heldIn(entry) : [];
  if (!entry || names.length < 2) return;
  const based = (await zfs.holds(names)).filter(({ tag }) => tag === baseTag);
  const old = oldBases(entry, new Set(based.map(({ snapshot }) => snapshot)));
  if (old.length === 0) return;
  await zfs.release(
    baseTag,
    old.map(({ snapshot }) => `${dataset}@${snapshot.name}`),
  );
}

/** What was renamed for a step: by itself, or by one before it, whose stream broke. */
function rotatedFrom({ dataset, before, origin }: Arrived): string[] {
  if (before?.kind === 'rename' && before.from === dataset) return [before.to];
  return origin !== undefined && originalNameOf(datasetOf(origin)) === dataset ? [datasetOf(origin)] : [];
}

const laneOf = (dataset: string): number =>
  Array.from(dataset).reduce((sum, character) => sum + character.charCodeAt(0), 0) % atOnce;
