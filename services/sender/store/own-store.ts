import type { StoreConnection } from '../../../lib/bus/channel/store/connection.ts';
import { type BucketBounds, createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import { type CatalogReader, readCatalog, unbounded } from '../../../lib/bus/channel/store/manifests.ts';
import { openStreams, type StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { openReceipts, type Receipts } from '../../../lib/bus/channel/store/receipts.ts';
import { openSpaceQueue, type SpaceQueue } from '../../../lib/bus/channel/store/wait-for-space.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { Log } from '../../host/log.ts';

/** The store of this host for offline targets, with their receipts. */
export interface OwnStore {
  /** Opens the store, and creates its bucket if there is none. @throws ZpsendError NOT_ALLOWED, UNREACHABLE, UNSUPPORTED, NO_SPACE */
  open(): Promise<{ readonly bucket: StreamsBucket; readonly catalog: CatalogReader }>;
  /** Opens the store; undefined if there is no bucket. */
  find(): Promise<{ readonly bucket: StreamsBucket; readonly catalog: CatalogReader } | undefined>;
  /** Has this process used it? */
  readonly isOpen: boolean;
  readonly receipts: Receipts;
  readonly spaceQueue: SpaceQueue;
  /** Registers a deletion that should end before this process does. */
  clearing(work: Promise<void>): void;
  /** Resolves when no deletion is registered. */
  cleared(): Promise<void>;
}

export interface OwnStoreOptions {
  readonly host: string;
  readonly bus: Bus;
  readonly connection: StoreConnection;
  /** Of a bucket that is created now. */
  readonly bounds: () => BucketBounds;
  readonly log: Log;
}

export function ownStore({ host, bus, connection, bounds, log }: OwnStoreOptions): OwnStore {
  const clearings = new Set<Promise<void>>();
  let opened: Promise<{ bucket: StreamsBucket; catalog: CatalogReader }> | undefined;

  function openOnce(): Promise<{ bucket: StreamsBucket; catalog: CatalogReader }> {
    opened ??= connection
      .open()
      .then((connected) => openStreams(connected, host))
      .then((bucket) => ({
        bucket,
        catalog: readCatalog(bucket, (why) => log.warn('store.manifest-refused', why), unbounded),
      }))
      .catch((thrown) => {
        opened = undefined;
        throw thrown;
      });
    return opened;
  }

  return {
    receipts: openReceipts(bus),
    spaceQueue: openSpaceQueue(),
    clearing(work) {
      clearings.add(work);
      void work.finally(() => clearings.delete(work));
    },
    async cleared() {
      while (clearings.size > 0) await Promise.all(clearings);
    },
    get isOpen() {
      return opened !== undefined;
    },
    async open() {
      const own = await openOnce();
      // at the first use, or after it was lost
      if ((await own.bucket.mark()) === undefined) {
        const bytes = await createStreamsBucket(await connection.open(), host, bounds());
        log.info('store.created', `created the store of ${host}, for ${Math.floor(bytes / 2 ** 20)} MiB`);
      }
      return own;
    },
    async find() {
      const own = await openOnce();
      return (await own.bucket.mark()) === undefined ? undefined : own;
    },
  };
}
