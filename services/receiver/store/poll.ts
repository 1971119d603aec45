import type { StoreAt, StoreConnection } from '../../../lib/bus/channel/store/connection.ts';
import { deliveriesOf, isLost } from '../../../lib/bus/channel/store/delivery-state.ts';
import { sourcesOf } from '../../../lib/bus/channel/store/find-stores.ts';
import { type CatalogReader, readCatalog } from '../../../lib/bus/channel/store/manifests.ts';
import { openStreams, type StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { openReceipts, type Receipts } from '../../../lib/bus/channel/store/receipts.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { ownDomain } from '../../../lib/bus/jetstream/jetstream.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type Code, type ErrorBody, hasReason, ZpsendError } from '../../../schemas/errors.ts';
import { poolOf } from '../../../schemas/names.ts';
import type { Receipt } from '../../../schemas/stored.ts';
import type { Log } from '../../host/log.ts';
import { type FetchDeps, fetchStored } from './fetch.ts';
import { isBehind, itemsFor, lostBefore, mayPass, type StoredItem } from './queue.ts';

export interface StoredDeps extends FetchDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly store: StoreConnection;
  readonly log: Log;
}

/** Codes that need an administrator. */
const needsAdministrator = (code: Code): boolean => code === 'NOT_ALLOWED' || code === 'TOO_MUCH';
/** In every 30th round the sources are looked up again, where any source may send here. */
const sourcesEvery = 30;

/** Warnings that are remembered, so that each is logged once. */
const mostWarnings = 200;

interface Source {
  readonly bucket: StreamsBucket;
  /** Undefined for the domain of this host's server. */
  readonly domain: string | undefined;
  readonly catalog: CatalogReader;
  /** In the same JetStream domain as its store. */
  readonly receipts: Receipts;
  busy: boolean;
  /** The pause after a visit in which a stream was blocked, in milliseconds. */
  pause: number;
  /** No visit before this moment, in monotonic milliseconds. */
  after: number;
}

/**
 * Receives the streams that sources have stored for this host, each source's streams in the order in which they were stored. The source may be
 * offline: it gets receipts.
 * @returns a function that ends it, and resolves when running receives have ended
 */
export function receiveStored(deps: StoredDeps): () => Promise<void> {
  const { log, bus, clock, settings } = deps;
  const { everyMs, deniedMs, failedMs } = timing.fetch;
  const sources = new Map<string, Source>();
  const stop = new AbortController();
  const visits = new Set<Promise<void>>();
  const warned = new Set<string>();
  const warnOnce = (line: string): void => {
    if (warned.has(line)) return;
    log.warn('store.refused', line);
    if (warned.size >= mostWarnings) warned.clear();
    warned.add(line);
  };

  const logUnfound = unfoundLog(warnOnce);

  function begin(source: Source): void {
    if (source.busy || clock.now() < source.after) return;
    source.busy = true;
    const visiting = visit(deps, source, () => stop.signal.aborted || !isWanted(deps, source))
      .catch((thrown) => {
        const { code, message } = ZpsendError.from(thrown);
        source.after = clock.now() + (needsAdministrator(code) ? deniedMs : failedMs);
        warnOnce(`the stored streams of ${source.bucket.source} cannot be fetched: ${message}`);
      })
      .finally(() => {
        source.busy = false;
        visits.delete(visiting);
      });
    visits.add(visiting);
  }

  async function poll(): Promise<void> {
    let finding = Promise.resolve();
    /** The settings at the last search for sources. */
    let searched: Settings | undefined;
    for (let round = 0; !stop.signal.aborted; round++) {
      for (const [key, source] of sources) if (!source.busy && !isWanted(deps, source)) sources.delete(key);
      const isDue = round % sourcesEvery === 0 || searched !== settings.now;
      if (isDue && bus.connected && settings.now.config.receive.allow.length > 0) {
        searched = settings.now;
        // a domain that does not answer must not stop fetches from others
        finding = finding.then(() => findSources(deps, sources, warnOnce)).catch(logUnfound);
        await Promise.race([finding, clock.sleep(everyMs)]);
      }
      if (bus.connected) for (const source of sources.values()) begin(source);
      await clock.sleep(everyMs, stop.signal).catch(() => {});
    }
    await finding;
  }

  const polling = poll();
  return async () => {
    stop.abort();
    await polling;
    await Promise.all(visits);
  };
}

const unfoundLog =
  (warnOnce: (line: string) => void) =>
  (thrown: unknown): void =>
    warnOnce(`stores of sources cannot be found: ${ZpsendError.from(thrown).message}`);

/** Is this host still to receive from the source, and to read that domain? */
function isWanted({ settings }: StoredDeps, { bucket, domain }: Source): boolean {
  const { allow, storeDomains } = settings.now.config.receive;
  const isRead = domain === undefined || storeDomains.includes(domain);
  return isRead && allow.some(({ from }) => from === '*' || from === bucket.source);
}

/** Finds the stores of all sources that may send here, in every JetStream domain. */
async function findSources(
  deps: StoredDeps,
  sources: Map<string, Source>,
  warnOnce: (line: string) => void,
): Promise<void> {
  const logUnfound = unfoundLog(warnOnce);
  const at = await deps.store.open();
  const finding = [findIn(deps, sources, at, warnOnce).catch(logUnfound)];
  const { storeDomains } = deps.settings.now.config.receive;
  if (storeDomains.length > 0) {
    const own = await ownDomain(at);
    for (const domain of storeDomains)
      if (domain !== own) finding.push(findIn(deps, sources, { ...at, domain }, warnOnce).catch(logUnfound));
  }
  await Promise.all(finding);
}

async function findIn(
  deps: StoredDeps,
  sources: Map<string, Source>,
  at: StoreAt,
  warnOnce: (line: string) => void,
): Promise<void> {
  const { allow } = deps.settings.now.config.receive;
  const named = allow.flatMap(({ from }) => (from === '*' ? [] : [from]));
  const found = allow.some(({ from }) => from === '*') ? await sourcesOf(at) : [];
  for (const source of [...named, ...found]) {
    const key = `${source} ${at.domain ?? ''}`;
    if (sources.has(key)) continue;
    const bucket = await openStreams(at, source);
    const receipts = openReceipts({ nc: deps.bus.nc, domain: at.domain });
    const catalog = readCatalog(bucket, warnOnce);
    sources.set(key, {
      bucket,
      domain: at.domain,
      catalog,
      receipts,
      busy: false,
      pause: timing.fetch.failedMs,
      after: 0,
    });
  }
}

/** Receives each stored stream once. A later visit retries failures that may pass. */
async function visit(deps: StoredDeps, source: Source, isStopped: () => boolean): Promise<void> {
  const { host, log, clock } = deps;
  const { bucket, catalog, receipts } = source;
  const from = bucket.source;
  const { waiting } = await catalog.read();
  if (!waiting.some(({ targets }) => targets.some((target) => target.host === host))) return;
  const there = await receipts.read(from, host);
  const reported = new Map(there.map(({ id, place, receipt }) => [`${id} ${place}`, receipt]));
  const deliveries = deliveriesOf(waiting, there);
  const blocked: string[] = [];
  /** The guids that lost streams were to bring. */
  const missing = lostBefore(host, deliveries);
  for (const item of itemsFor(host, deliveries)) {
    if (isStopped()) return;
    if (isBehind(item.start, blocked)) continue;
    const base = item.start.from?.guid;
    const before = reported.get(`${item.stream.id} ${item.place}`);
    const lacksBase = base !== undefined && missing.has(base);
    const receipt = lacksBase
      ? lostReceipt(log, item, missing)
      : await receive(deps, source, item, { before, isStopped });
    if (receipt?.error && isLost(receipt.error)) missing.add(item.start.to.guid);
    if (receipt) await receipts.write(host, from, item.stream.id, item.place, receipt);
    else blocked.push(item.start.targetDataset);
  }
  if (blocked.length > 0) source.after = clock.now() + source.pause;
  const ids = new Set(waiting.map(({ id }) => id));
  for (const { id, place } of there) if (!ids.has(id)) await receipts.remove(host, from, id, place);
}

interface Visit {
  /** The receipt before this try. */
  readonly before: Receipt | undefined;
  isStopped(): boolean;
}

/** Receives one stored stream. @returns undefined where it is to be tried again */
async function receive(
  deps: StoredDeps,
  source: Source,
  item: StoredItem,
  { before, isStopped }: Visit,
): Promise<Receipt | undefined> {
  const { host, log, clock } = deps;
  const { stream, place, start } = item;
  const { bucket, receipts } = source;
  log.info('store.waiting', `${start.to.name} waits in the store of ${bucket.source} for ${start.targetDataset}`, {
    snapshot: start.to.name,
  });
  const write = (receipt: Receipt) => receipts.write(host, bucket.source, stream.id, place, receipt).catch(() => {});
  // a receiver that finds the dataset locked has claimed the stream, too
  if (!before) await receipts.begin(host, bucket.source, stream.id, place).catch(() => {});
  const fetching = fetchStored(deps, bucket, item);
  let lastError = before?.error;
  const endProgress = clock.every(timing.fetch.progressMs, () => {
    // the last error stays the reason until the receive gets further
    if (fetching.consumed > (before?.bytes ?? 0)) lastError = undefined;
    void write({ state: 'running', bytes: fetching.consumed, ...(lastError && { error: lastError }) });
  });
  let error: ErrorBody | undefined;
  try {
    await fetching.over;
  } catch (thrown) {
    error = ZpsendError.from(thrown).toBody();
  } finally {
    endProgress();
  }
  if (!error || hasReason(error, 'EXISTS', 'has-snapshot')) return { state: 'done', bytes: stream.bytes };
  // a source that may no longer send keeps its streams
  if (isStopped() || mayPass(error) || (!isLost(error) && !(await hasPool(deps, start.targetDataset)))) {
    source.pause = error.retryable ? timing.fetch.failedMs : timing.fetch.blockedMs;
    log.info(
      'store.kept',
      `${start.to.name} stays in the store: ${error.code}: ${error.message}; trying again in ${source.pause / 1000} s`,
      { snapshot: start.to.name, code: error.code },
    );
    // a lock is released, and may be that of another receiver of this stream
    const reason = error.code === 'LOCKED' ? undefined : error;
    const isNew = reason?.message !== lastError?.message || (reason && fetching.consumed !== before?.bytes);
    if (isNew && !isStopped())
      await write({ state: 'running', bytes: fetching.consumed, ...(reason && { error: reason }) });
    return undefined;
  }
  log.error(
    'store.receive-failed',
    `${start.to.name} from the store of ${bucket.source} failed: ${error.code}: ${error.message}`,
    { snapshot: start.to.name, code: error.code },
  );
  return { state: 'failed', bytes: fetching.consumed, error };
}

/** Is the dataset's pool imported? */
const hasPool = async (deps: StoredDeps, targetDataset: string): Promise<boolean> =>
  (await deps.zfs.inspect([poolOf(targetDataset)]).catch(() => [])).length > 0;

/** The receipt of a stream whose base was lost. If the base has arrived directly, the next job finds it. */
function lostReceipt(log: Log, { start }: StoredItem, missing: ReadonlySet<string>): Receipt {
  const message = `${start.to.name} starts from a stream that was lost in the store; the next job sends both`;
  log.error('store.lost', `${message} (${missing.size} are lost)`, { snapshot: start.to.name });
  return {
    state: 'failed',
    bytes: 0,
    error: { code: 'STREAM_BROKEN', message, retryable: true, details: { reason: 'lost' } },
  };
}
