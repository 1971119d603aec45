import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamsBucket } from '../../../lib/bus/store/bucket.ts';
import { parseStoredName, storedName } from '../../../lib/bus/subjects.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Manifest, Receipt, StoredStart } from '../../../schemas/stored.ts';
import type { Log } from '../../host/log.ts';
import { removeOvertaken } from './cursors.ts';
import { isAbout, keyOf, type LastWord, lastWordsOf, learned } from './last-words.ts';
import { readSight, writeSight } from './sights.ts';
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
/** How long the end of a command waits for a last look, in milliseconds. */
const lastMs = 5000;
/** A segment without a manifest, whose job is not known to run, goes after so many milliseconds. */
const orphanMs = 60_000;

/** Every target has said its last word of it. */
export const isOver = ({ id, targets }: Manifest, words: readonly LastWord[]): boolean =>
  targets.every((_, place) => words.some(({ key }) => key === keyOf(id, place)));

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
  /** The words that were learned, of what still lies in the store. */
  const told = new Set<string>();
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
    const words = lastWordsOf(waiting, receipts);
    for (const key of told) if (!words.some((word) => word.key === key)) told.delete(key);
    for (const word of words) if (!told.has(word.key)) await learn(bucket, names, word, words).catch(failed);
    for (const manifest of waiting) if (isOver(manifest, words)) await finish(bucket, manifest).catch(failed);
    await sweep(bucket, names);
  }

  /** One that cannot be finished now keeps no other. */
  function failed(thrown: unknown): void {
    const { message } = ZpsendError.from(thrown);
    if (message !== said) log.debug(`the store cannot be looked after: ${message}`);
    said = message;
  }

  async function finish(bucket: StreamsBucket, { id, digests, targets }: Manifest): Promise<void> {
    // what was not learned yet would be forgotten
    if (!targets.every((_, place) => told.has(keyOf(id, place)))) return;
    // the segments first, which makes room, and the manifest last: until then a killed sender finds all of this again
    for (let at = 0; at < digests.length; at++) await bucket.remove(storedName({ kind: 'segment', id, at }));
    await bucket.remove(storedName({ kind: 'manifest', id }));
  }

  /** What a target has said, for every sight of it. */
  async function learn(
    bucket: StreamsBucket,
    names: readonly string[],
    word: LastWord,
    words: readonly LastWord[],
  ): Promise<void> {
    const { target, start, receipt } = word;
    const current = new Set(words.map(({ key }) => key));
    let known = false;
    for (const name of names) {
      const of = parseStoredName(name);
      if (of?.kind !== 'sight') continue;
      const place = { host: of.target, root: of.dataset };
      if (!isAbout(place, word)) continue;
      const sight = await readSight(bucket, place);
      const now = sight && learned(sight, word);
      known ||= sight !== undefined && now === sight;
      if (now && now !== sight) {
        await writeSight(bucket, place, { ...now, heard: now.heard?.filter((key) => current.has(key)) });
      }
    }
    told.add(word.key);
    if (receipt.state === 'done') {
      await removeOvertaken(deps.zfs, target, start).catch((thrown) =>
        log.debug(`old cursor bookmarks of ${target} stay: ${ZpsendError.from(thrown).message}`),
      );
    }
    if (known) return;
    await deps.tell(target, start, receipt).catch(failed);
    const { state, error } = receipt;
    if (state === 'done') log.info(`${target} has received ${start.to.name} into ${start.dataset} from the store`);
    else log.error(`${target} has refused ${start.to.name} from the store: ${error?.code}: ${error?.message}`);
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
    // a command may be over before the first look that finds its store open
    if (deps.waits) await Promise.race([look().catch(failed), sleep(lastMs, undefined, { ref: false })]);
  };
}
