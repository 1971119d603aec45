import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamsBucket } from '../../../lib/bus/store/bucket.ts';
import type { PlacedReceipt } from '../../../lib/bus/store/receipts.ts';
import { parseStoredName, storedName } from '../../../lib/bus/subjects.ts';
import { presumed } from '../../../lib/plan/presume.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { Manifest, Receipt, StoredStart } from '../../../schemas/stored.ts';
import type { Log } from '../../host/log.ts';
import { removeOvertaken } from './cursors.ts';
import { hadBase, readSight, writeSight } from './sights.ts';
import type { OwnStore } from './store.ts';

export interface KeeperDeps {
  readonly host: string;
  readonly zfs: Pick<Zfs, 'list' | 'destroyBookmark'>;
  readonly log: Log;
  readonly store: OwnStore;
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** Looks only while a job has the store open. */
  readonly waits: boolean;
  /** Tells everybody what became of a stored stream. */
  readonly tell: (target: string, start: StoredStart, receipt: Receipt) => Promise<void>;
}

/** How often it is looked what targets have taken, in milliseconds. */
const everyMs = 2000;
/** Every so many looks also for what was begun and is not whole. */
const begunEvery = 3;
/** A segment without a manifest, whose job is not known to run, goes after so many milliseconds. */
const orphanMs = 60_000;

/** Every target has said its last word of it. */
export const isOver = (manifest: Manifest, receipts: readonly PlacedReceipt[]): boolean =>
  manifest.targets.every(({ host }, place) =>
    receipts.some(
      (one) => one.target === host && one.id === manifest.id && one.place === place && one.receipt.state !== 'running',
    ),
  );

/** Segments of streams that were never whole, by the ids of their transfers; `living` are ids of jobs, which transfers begin with. */
export function orphansIn(all: readonly string[], living: ReadonlySet<string>): string[] {
  const names = all.map(parseStoredName);
  const whole = new Set(names.flatMap((name) => (name?.kind === 'manifest' ? [name.id] : [])));
  const ids = new Set(names.flatMap((name) => (name?.kind === 'segment' && !whole.has(name.id) ? [name.id] : [])));
  return [...ids].filter((id) => ![...living].some((job) => id.startsWith(job)));
}

/**
 * Keeps the bucket of a source: removes what every target has taken or refused, remembers what they have now, and removes what
 * killed jobs have left.
 * @returns a function that ends it
 */
export function keepStore(deps: KeeperDeps): () => Promise<void> {
  const { host, log, store } = deps;
  const stop = new AbortController();
  /** Since when, in monotonic milliseconds. */
  const orphans = new Map<string, number>();
  /** What was begun when it was looked last. */
  let begun: readonly string[] = [];
  let sweeps = 0;
  /** The catalog's list, which is another one when anything has changed since. */
  let seen: readonly string[] | undefined;
  let isStale = true;
  let said = '';

  async function look(): Promise<void> {
    if (deps.waits && !store.isOpen) return;
    const found = await store.find();
    if (!found) return;
    const { bucket, catalog } = found;
    const { waiting, names } = await catalog.read();
    const receipts = waiting.length > 0 ? await store.receipts.read(host) : [];
    for (const manifest of waiting) {
      if (stop.signal.aborted) return;
      if (isOver(manifest, receipts)) await finish(bucket, names, manifest, receipts).catch(failed);
    }
    await sweep(bucket, names);
  }

  /** One that cannot be finished now keeps no other. */
  function failed(thrown: unknown): void {
    const { message } = ZpsendError.from(thrown);
    if (message !== said) log.debug(`the store cannot be looked after: ${message}`);
    said = message;
  }

  async function finish(
    bucket: StreamsBucket,
    names: readonly string[],
    manifest: Manifest,
    receipts: readonly PlacedReceipt[],
  ): Promise<void> {
    // the segments first, which makes room, and the manifest last: until then a killed sender finds all of this again
    for (let at = 0; at < manifest.digests.length; at++) {
      await bucket.remove(storedName({ kind: 'segment', id: manifest.id, at }));
    }
    for (const [place, { host: target, start }] of manifest.targets.entries()) {
      const receipt = receipts.find((one) => one.target === target && one.id === manifest.id && one.place === place);
      if (receipt) await learn(bucket, names, target, start, receipt.receipt);
    }
    await bucket.remove(storedName({ kind: 'manifest', id: manifest.id }));
  }

  /** What a receipt tells of its target, in every sight of it. */
  async function learn(
    bucket: StreamsBucket,
    names: readonly string[],
    target: string,
    start: StoredStart,
    receipt: Receipt,
  ): Promise<void> {
    const { state, error } = receipt;
    await deps.tell(target, start, receipt).catch(failed);
    if (state === 'done') {
      log.info(`${target} has received ${start.to.name} into ${start.dataset} from the store`);
      await removeOvertaken(deps.zfs, target, start).catch((thrown) =>
        log.debug(`old cursor bookmarks of ${target} stay: ${ZpsendError.from(thrown).message}`),
      );
    } else log.error(`${target} has refused ${start.to.name} from the store: ${error?.code}: ${error?.message}`);
    const isLost = error?.details?.lost === true;
    // what was damaged in the store says nothing of the target: it is sent again
    if (isLost && error.code === 'STREAM_BROKEN') return;
    for (const name of names) {
      const of = parseStoredName(name);
      if (of?.kind !== 'sight' || of.target !== target || !isWithin(start.dataset, of.dataset)) continue;
      const place = { host: target, root: of.dataset };
      const sight = await readSight(bucket, place);
      // what it never had was lost on its way; what it had, it has lost itself
      if (!sight || (isLost && !hadBase(sight, start))) continue;
      const now =
        state === 'done'
          ? { ...sight, target: presumed(sight.target, [start]) }
          : { ...sight, ...(error && { refused: error }) };
      await writeSight(bucket, place, now);
    }
  }

  async function sweep(bucket: StreamsBucket, names: readonly string[]): Promise<void> {
    const now = performance.now();
    if (names !== seen) isStale = true;
    seen = names;
    if (isStale && sweeps++ % begunEvery === 0) {
      begun = await bucket.begun();
      isStale = false;
    }
    const all = [...new Set([...names, ...begun])];
    const loose = orphansIn(all, new Set());
    for (const id of orphans.keys()) if (!loose.includes(id)) orphans.delete(id);
    if (loose.length === 0) return;
    const living = await deps.livingJobs();
    if (!living) return;
    const dead = orphansIn(all, living);
    for (const id of loose) {
      if (!dead.includes(id)) orphans.delete(id);
      else if (!orphans.has(id)) orphans.set(id, now);
      if (now - (orphans.get(id) ?? now) < orphanMs) continue;
      log.warn(`removing from the store what a killed job has left of ${id}`);
      for (const name of all) {
        const of = parseStoredName(name);
        if (of?.kind === 'segment' && of.id === id) await bucket.remove(name);
      }
    }
  }

  async function keep(): Promise<void> {
    while (!stop.signal.aborted) {
      await look().catch(failed);
      await sleep(everyMs, undefined, { signal: stop.signal, ref: false }).catch(() => {});
    }
  }

  const keeping = keep();
  return async () => {
    stop.abort();
    await keeping;
  };
}
