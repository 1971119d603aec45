import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreAt, StoreConnection } from '../../../lib/bus/channel/store/connection.ts';
import { deliveriesOf, isLost } from '../../../lib/bus/channel/store/delivery-state.ts';
import { ownDomain, sourcesOf } from '../../../lib/bus/channel/store/find-stores.ts';
import { type CatalogReader, readCatalog } from '../../../lib/bus/channel/store/manifests.ts';
import { openStreams, type StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { openReceipts, type Receipts } from '../../../lib/bus/channel/store/receipts.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import { type Code, type ErrorBody, hasReason, ZpsendError } from '../../../schemas/errors.ts';
import { poolOf } from '../../../schemas/names.ts';
import type { Receipt } from '../../../schemas/stored.ts';
import type { Log } from '../../host/log.ts';
import { type FetchDeps, fetchStored } from './fetch.ts';
import { isBehind, itemsFor, lostBefore, mayPass, type StoredItem } from './queue.ts';

export interface StoredDeps extends FetchDeps {
  readonly bus: Bus;
  readonly store: StoreConnection;
  readonly log: Log;
  readonly allow: ReceiveConfig['allow'];
  /** Other JetStream domains in which sources keep streams. */
  readonly storeDomains: readonly string[];
}

const isForAPerson = (code: Code): boolean => code === 'NOT_ALLOWED' || code === 'TOO_MUCH';
/** Every so many looks the hosts that keep streams are asked for anew, where any may. */
const sourcesEvery = 30;

/** Warnings that are remembered, so as not to be told again. */
const mostSaid = 200;

interface Source {
  readonly bucket: StreamsBucket;
  readonly catalog: CatalogReader;
  /** Beside its store, where it looks for them. */
  readonly receipts: Receipts;
  busy: boolean;
  /** How long it is left alone after a visit that did not bring everything, in milliseconds. */
  pause: number;
  /** Not before this moment, monotonic milliseconds. */
  after: number;
}

/**
 * Receives what sources have left in the store for this host, each source's in the order in which it was stored. The source need
 * not be up: it learns by receipts what became of it.
 * @returns a function that looks for no more, and resolves when what runs has ended
 */
export function receiveStored(deps: StoredDeps): () => Promise<void> {
  const { host, log, bus } = deps;
  const sources = new Map<string, Source>();
  const stop = new AbortController();
  const visits = new Set<Promise<void>>();
  const said = new Set<string>();
  const once = (line: string): void => {
    if (said.has(line)) return;
    log.warn('store.refused', line);
    if (said.size >= mostSaid) said.clear();
    said.add(line);
  };

  const unfound = unfoundBy(once);

  /** Goes once through what waits; what may pass is tried again at a later visit. */
  async function visit(source: Source): Promise<void> {
    const { bucket, catalog, receipts } = source;
    const from = bucket.source;
    const { waiting } = await catalog.read();
    if (!waiting.some(({ targets }) => targets.some((target) => target.host === host))) return;
    const there = await receipts.read(from, host);
    const said = new Map(there.map(({ id, place, receipt }) => [`${id} ${place}`, receipt]));
    const deliveries = deliveriesOf(waiting, there);
    const blocked: string[] = [];
    /** What streams lead to that are lost. */
    const missing = lostBefore(host, deliveries);
    for (const item of itemsFor(host, deliveries)) {
      if (stop.signal.aborted) return;
      if (isBehind(item.start, blocked)) continue;
      const base = item.start.from?.guid;
      const before = said.get(`${item.stream.id} ${item.place}`);
      const isLate = base !== undefined && missing.has(base);
      const receipt = isLate
        ? behind(log, item, missing)
        : await receive(deps, source, item, { before, isStopped: () => stop.signal.aborted });
      if (receipt?.error && isLost(receipt.error)) missing.add(item.start.to.guid);
      if (receipt) await receipts.write(host, from, item.stream.id, item.place, receipt);
      else blocked.push(item.start.dataset);
    }
    if (blocked.length > 0) source.after = performance.now() + source.pause;
    const ids = new Set(waiting.map(({ id }) => id));
    for (const { id, place } of there) if (!ids.has(id)) await receipts.remove(host, from, id, place);
  }

  function begin(source: Source): void {
    if (source.busy || performance.now() < source.after) return;
    source.busy = true;
    const visiting = visit(source)
      .catch((thrown) => {
        const { code, message } = ZpsendError.from(thrown);
        source.after = performance.now() + (isForAPerson(code) ? timing.fetch.deniedMs : timing.fetch.failedMs);
        once(`the streams of ${source.bucket.source} cannot be looked for: ${message}`);
      })
      .finally(() => {
        source.busy = false;
        visits.delete(visiting);
      });
    visits.add(visiting);
  }

  async function look(): Promise<void> {
    let finding = Promise.resolve();
    for (let looks = 0; !stop.signal.aborted; looks++) {
      if (looks % sourcesEvery === 0 && bus.connected) {
        // a domain that does not answer keeps nothing from being fetched elsewhere
        finding = finding.then(() => findSources(deps, sources, once)).catch(unfound);
        await Promise.race([finding, sleep(timing.fetch.everyMs)]);
      }
      if (bus.connected) for (const source of sources.values()) begin(source);
      await sleep(timing.fetch.everyMs, undefined, { signal: stop.signal, ref: false }).catch(() => {});
    }
    await finding;
  }

  const looking = deps.allow.length > 0 ? look() : Promise.resolve();
  return async () => {
    stop.abort();
    await looking;
    await Promise.all(visits);
  };
}

const unfoundBy =
  (once: (line: string) => void) =>
  (thrown: unknown): void =>
    once(`stored streams cannot be looked for: ${ZpsendError.from(thrown).message}`);

/** Finds the stores of those that may send here, in every JetStream domain. */
async function findSources(
  deps: StoredDeps,
  sources: Map<string, Source>,
  once: (line: string) => void,
): Promise<void> {
  const unfound = unfoundBy(once);
  const at = await deps.store.open();
  const finding = [findIn(deps, sources, at, once).catch(unfound)];
  if (deps.storeDomains.length > 0) {
    const own = await ownDomain(at);
    for (const domain of deps.storeDomains)
      if (domain !== own) finding.push(findIn(deps, sources, { ...at, domain }, once).catch(unfound));
  }
  await Promise.all(finding);
}

async function findIn(
  deps: StoredDeps,
  sources: Map<string, Source>,
  at: StoreAt,
  once: (line: string) => void,
): Promise<void> {
  const named = deps.allow.flatMap(({ from }) => (from === '*' ? [] : [from]));
  const seen = deps.allow.some(({ from }) => from === '*') ? await sourcesOf(at) : [];
  for (const source of [...named, ...seen]) {
    const key = `${source} ${at.domain ?? ''}`;
    if (sources.has(key)) continue;
    const bucket = await openStreams(at, source);
    const receipts = openReceipts({ nc: deps.bus.nc, domain: at.domain });
    const catalog = readCatalog(bucket, once);
    sources.set(key, { bucket, catalog, receipts, busy: false, pause: timing.fetch.failedMs, after: 0 });
  }
}

interface Visit {
  /** What was said of the stream before. */
  readonly before: Receipt | undefined;
  isStopped(): boolean;
}

/** Undefined when it is to be tried again. */
async function receive(
  deps: StoredDeps,
  source: Source,
  item: StoredItem,
  { before, isStopped }: Visit,
): Promise<Receipt | undefined> {
  const { host, log } = deps;
  const { stream, place, start } = item;
  const { bucket, receipts } = source;
  log.info('store.waiting', `${start.to.name} waits in the store of ${bucket.source} for ${start.dataset}`, {
    snapshot: start.to.name,
  });
  const write = (receipt: Receipt) => receipts.write(host, bucket.source, stream.id, place, receipt).catch(() => {});
  // whoever finds the dataset locked has begun too
  if (!before) await receipts.begin(host, bucket.source, stream.id, place).catch(() => {});
  const fetching = fetchStored(deps, bucket, item);
  let isTold = before?.error;
  const progress = setInterval(() => {
    // what it failed with last is why, until it gets further
    if (fetching.consumed > (before?.bytes ?? 0)) isTold = undefined;
    void write({ state: 'running', bytes: fetching.consumed, ...(isTold && { error: isTold }) });
  }, timing.fetch.progressMs);
  let error: ErrorBody | undefined;
  try {
    await fetching.over;
  } catch (thrown) {
    error = ZpsendError.from(thrown).toBody();
  } finally {
    clearInterval(progress);
  }
  if (!error || hasReason(error, 'EXISTS', 'has-snapshot')) return { state: 'done', bytes: stream.bytes };
  if (mayPass(error) || (!isLost(error) && !(await hasPool(deps, start.dataset)))) {
    source.pause = error.retryable ? timing.fetch.failedMs : timing.fetch.blockedMs;
    log.info(
      'store.kept',
      `${start.to.name} stays in the store: ${error.code}: ${error.message}; trying again in ${source.pause / 1000} s`,
      { snapshot: start.to.name, code: error.code },
    );
    // a lock passes by itself, and may be that of another receiver who is at it
    const why = error.code === 'LOCKED' ? undefined : error;
    const isNews = why?.message !== isTold?.message || (why && fetching.consumed !== before?.bytes);
    if (isNews && !isStopped()) await write({ state: 'running', bytes: fetching.consumed, ...(why && { error: why }) });
    return undefined;
  }
  log.error(
    'store.receive-failed',
    `${start.to.name} from the store of ${bucket.source} failed: ${error.code}: ${error.message}`,
    { snapshot: start.to.name, code: error.code },
  );
  return { state: 'failed', bytes: fetching.consumed, error };
}

/** Before a pool is imported nothing is there that will be. */
const hasPool = async (deps: StoredDeps, dataset: string): Promise<boolean> =>
  (await deps.zfs.inspect([poolOf(dataset)]).catch(() => [])).length > 0;

/** What was lost was its base; unless that has come another way, which the next job then finds. */
function behind(log: Log, { start }: StoredItem, missing: ReadonlySet<string>): Receipt {
  const message = `${start.to.name} starts from a stream that was lost in the store; the next job sends both again`;
  log.error('store.lost', `${message} (${missing.size} are lost)`, { snapshot: start.to.name });
  return {
    state: 'failed',
    bytes: 0,
    error: { code: 'STREAM_BROKEN', message, retryable: true, details: { reason: 'lost' } },
  };
}
