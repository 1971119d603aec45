import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { parseStoredName } from '../../../lib/bus/subjects.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Receipt, StoredStart } from '../../../schemas/stored.ts';
import type { Log } from '../../host/log.ts';
import { removeOvertaken } from '../bases/store-cursors.ts';
import { type Place, readKnownTarget, writeKnownTarget } from './known-targets.ts';
import { isAbout, learned, type TerminalReceipt } from './receipts.ts';

export interface ReceiptApplierDeps {
  readonly zfs: Pick<Zfs, 'list' | 'destroyBookmark'>;
  readonly log: Log;
  /** Tells everybody what became of a stored stream. */
  readonly tell: (target: string, start: StoredStart, receipt: Receipt) => Promise<void>;
}

export interface ReceiptApplier {
  /**
   * Learns what is new among the words that lie in a store: tells of it, and then remembers it in every known target that it is about.
   * @throws ZpsendError where that could not be remembered; it is tried again the next time
   */
  learn(
    from: { readonly bucket: StreamsBucket; readonly names: readonly string[] },
    words: readonly TerminalReceipt[],
    signal: AbortSignal,
  ): Promise<void>;
  knows(key: string): boolean;
}

export function openReceiptApplier({ zfs, log, tell }: ReceiptApplierDeps): ReceiptApplier {
  /** Told by this process, and learned; of what still lies in the store. */
  const told = new Set<string>();
  const known = new Set<string>();

  return {
    knows: (key) => known.has(key),
    async learn({ bucket, names }, words, signal) {
      const current = new Set(words.map(({ key }) => key));
      for (const set of [told, known]) for (const key of set) if (!current.has(key)) set.delete(key);
      const fresh = words.filter(({ key }) => !known.has(key));
      if (fresh.length === 0) return;
      const places = placesIn(names).filter((place) => fresh.some((word) => isAbout(place, word)));
      // what a known target holds was read by its writer, or has been seen since
      for (const place of places) for (const key of (await readKnownTarget(bucket, place))?.heard ?? []) told.add(key);
      for (const group of byDataset(fresh.filter(({ key }) => !told.has(key)))) {
        if (signal.aborted) return;
        await tellOf(group);
        for (const { key } of group) told.add(key);
      }
      for (const place of places) {
        if (signal.aborted) return;
        const lastKnown = await readKnownTarget(bucket, place);
        const now = lastKnown && fresh.filter((word) => isAbout(place, word)).reduce(learned, lastKnown);
        if (!now || now === lastKnown) continue;
        await writeKnownTarget(bucket, place, { ...now, heard: now.heard?.filter((key) => current.has(key)) });
      }
      for (const { key } of fresh) known.add(key);
    },
  };

  /** Of one dataset's streams at one target: what was taken last, and refused first, which is why the later ones were. */
  async function tellOf(group: readonly TerminalReceipt[]): Promise<void> {
    for (const { target, start, receipt } of group) {
      const { state, error } = receipt;
      if (state === 'done')
        log.info('store.delivered', `${target} has received ${start.to.name} into ${start.dataset} from the store`, {
          snapshot: start.to.name,
        });
      else
        log.error(
          'store.rejected',
          `${target} has refused ${start.to.name} from the store: ${error?.code}: ${error?.message}`,
          { snapshot: start.to.name, code: error?.code },
        );
    }
    const telling = [
      group.findLast(({ receipt }) => receipt.state === 'done'),
      group.find(({ receipt }) => receipt.state === 'failed'),
    ];
    for (const word of group) {
      if (!telling.includes(word)) continue;
      const { target, start, receipt } = word;
      if (receipt.state === 'done')
        await removeOvertaken(zfs, target, start).catch(untold(`old cursor bookmarks of ${target} stay`));
      await tell(target, start, receipt).catch(untold(`the status of ${start.dataset} on ${target} stays`));
    }
  }

  function untold(what: string): (thrown: unknown) => void {
    return (thrown) => log.debug('store.maintenance-failed', `${what}: ${ZpsendError.from(thrown).message}`);
  }
}

const placesIn = (names: readonly string[]): Place[] =>
  names.flatMap((name) => {
    const of = parseStoredName(name);
    return of?.kind === 'known' ? [{ host: of.target, root: of.dataset }] : [];
  });

const byDataset = (words: readonly TerminalReceipt[]): TerminalReceipt[][] => [
  ...Map.groupBy(words, ({ target, start }) => [target, start.dataset, datasetOf(start.to.name)].join('\n')).values(),
];
