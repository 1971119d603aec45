import { deliveriesOf, type SettledDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { catalogBounds } from '../../../lib/bus/channel/store/manifests.ts';
import type { PlacedReceipt } from '../../../lib/bus/channel/store/receipts.ts';
import { changingRoots, unseenNotes } from '../../../lib/plan/placement/unseen-inheritors.ts';
import { planDatasets } from '../../../lib/plan/plan.ts';
import { predictInventory } from '../../../lib/plan/predict-target.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { LastKnownTarget } from '../../../schemas/stored.ts';
import { noCursors } from '../bases/cursors.ts';
import { storedCursors } from '../bases/store-cursors.ts';
import type { Planned } from '../planning/plan-job.ts';
import type { JobStatusDeps } from '../reporting/job-status.ts';
import { knownEntries } from '../reporting/known-entries.ts';
import { blockedNotes } from '../store/blocked-notes.ts';
import { deliveriesAt } from '../store/deliveries.ts';
import { type KnownTarget, knownTarget } from '../store/known-inventory.ts';
import { afterDelivery, readKnownTarget, type StoreTarget, writeKnownTarget } from '../store/known-targets.ts';
import type { OwnStore } from '../store/own-store.ts';
import { askStore } from '../transfer/via-store.ts';
import type { Delivery, DeliveryDeps } from './delivery.ts';
import { storable } from './storable.ts';

export interface StoreDeliveryDeps extends DeliveryDeps, Pick<JobStatusDeps, 'status'> {
  readonly store: OwnStore;
  /** How long a job waits for a full store, in ms. */
  readonly patienceMs: number;
}

export const placeOf = ({ targetHost, targetDataset }: JobContext): StoreTarget => ({
  host: targetHost,
  targetDataset,
});

/** The state of a target in the store before a send. */
export interface Waiting {
  /** Streams are stored for it. A direct stream would not follow on the snapshots that the target has then. */
  readonly isAwaited: boolean;
  /** The deliveries that its target has settled and reported. */
  readonly settled: readonly SettledDelivery[];
}

export const nothingWaits: Waiting = { isAwaited: false, settled: [] };

/** @throws ZpsendError where the store cannot be read */
export async function readWaiting(store: OwnStore, context: JobContext): Promise<Waiting> {
  const found = await store.find();
  if (!found) return nothingWaits;
  const { waiting } = await found.catalog.read();
  if (!waiting.some(({ targets }) => targets.some((target) => target.host === context.targetHost))) return nothingWaits;
  const place = placeOf(context);
  const receipts = await store.receipts.read(context.sourceHost, place.host);
  const { settled, starts } = deliveriesAt(place, deliveriesOf(waiting, receipts));
  return { isAwaited: starts.length > 0, settled };
}

/** Receivers fetch nothing from a store with more streams. */
function checkRoom(host: string, streams: number): void {
  if (streams < catalogBounds.streams) return;
  throw new ZpsendError(
    'NO_SPACE',
    `${streams} streams wait in the store of ${host}, the most that receivers accept. zpsend store ls ${host} lists their targets`,
  );
}

/** Through the store, planned against the inventory that the target will have after its stored streams. */
export function storeDelivery(deps: StoreDeliveryDeps, context: JobContext): Delivery {
  const { host, zfs, bus, log, store, patienceMs } = deps;
  const place = placeOf(context);
  // conflicts on the target are not seen from here, so none is resolved
  const { conflict: _, ...request } = context.request;
  const planned: JobContext = { ...context, request };
  /** The newer known target, which is recorded with the first stored stream: later its cursors are less exact. */
  let news: LastKnownTarget | undefined;

  async function plan(arrived: readonly Step[] = []): Promise<Planned> {
    // a read does not create the store
    const found = await store.find();
    const { sourceDataset, isRecursive } = context;
    const datasets = await zfs.list({ dataset: sourceDataset, recursive: isRecursive, creation: true });
    // the store's maintenance writes in the opposite order, so a removed delivery is in the next read
    const { waiting } = (await found?.catalog.read()) ?? { waiting: [] };
    checkRoom(host, waiting.length);
    const receipts = found ? await receiptsAt(store, host, place) : [];
    const remembered = found && (await readKnownTarget(found.bucket, place));
    const rows = await knownEntries(deps, place.host).catch((thrown) => {
      // a known target is not assumed to be empty
      if (!remembered) throw unread(place, 'record of earlier sends', thrown);
      return new Map();
    });
    const deliveries = deliveriesOf(waiting, receipts);
    const { settled, starts } = deliveriesAt(place, deliveries);
    const source: Inventory = { host, datasets };
    const known = knownTarget(place, { source, rows, wish: request.stream ?? {} }, remembered);
    if (known.lost.length > 0) throw lostThere(place, known.lost);
    const before = knownAfter(remembered, known);
    const lastKnown = remembered ? settled.reduce(afterDelivery, before) : before;
    if (lastKnown.refused) throw refusedThere(place, lastKnown.refused);
    checkPartial(place, lastKnown.target);
    news = known.isNews || known.isUnknown ? without(before, known.unsure) : undefined;
    const target = predictInventory(lastKnown.target, starts);
    const plans = planDatasets(planned, source, target, arrived);
    if (isRefusal(plans)) return { plans, source, target, known: lastKnown.target };
    const newKeys = changingRoots(plans.datasets, { source, target });
    const { unsure, unseenKeys } = known;
    const stored = storable(plans.datasets, target, { unsure, unseenKeys, newKeys });
    const notes = [
      ...plans.notes,
      ...(isRecursive ? [] : unseenNotes(stored, { source, target })),
      ...(known.isUnknown ? [noteOfUnknown(place, source)] : []),
      ...(known.isNews ? [noteOfRecords(place, source)] : []),
      ...(found ? await blockedNotes({ bus, bucket: found.bucket }, place, deliveries) : []),
    ];
    return { plans: { datasets: stored, notes }, source, target, known: lastKnown.target };
  }

  return {
    channel: 'store',
    plan,
    async ask(transfer, step) {
      try {
        const { bucket } = await store.open();
        if (news) await writeKnownTarget(bucket, place, news);
        news = undefined;
        const { spaceQueue, clearing } = store;
        return await askStore({ bucket, spaceQueue, clearing, log, patienceMs }, transfer, step);
      } catch (thrown) {
        // the other participants need not wait for it
        step.participant?.decline();
        throw thrown;
      }
    },
    cursors: deps.bookmarks ? storedCursors(zfs, log, place.host) : noCursors,
    arrived: async () => {},
  };
}

/** The record with newer knowledge: if more was sent since the target refused a stored stream, it was listed since. */
function knownAfter(
  remembered: LastKnownTarget | undefined,
  { target, isNews, unseenKeys }: KnownTarget,
): LastKnownTarget {
  const keys = unseenKeys.size > 0 && { unseenKeys: [...unseenKeys] };
  if (!remembered || !isNews) return { ...remembered, version: 1, target, ...keys };
  const { refused: _, ...others } = remembered;
  return { ...others, target, ...keys };
}

/** Uncertain datasets are not recorded, so that they are determined again. */
const without = (lastKnown: LastKnownTarget, unsure: ReadonlySet<string>): LastKnownTarget => ({
  ...lastKnown,
  target: { ...lastKnown.target, datasets: lastKnown.target.datasets.filter(({ name }) => !unsure.has(name)) },
});

/** The request may mean a host of another name. */
const noteOfUnknown = ({ host, targetDataset }: StoreTarget, { datasets: [top] }: Inventory): Note => {
  const message = `this host knows of no earlier send to ${targetDataset} on ${host}, so it is assumed to be empty`;
  return { kind: 'unseen', dataset: top?.name ?? targetDataset, message };
};

const noteOfRecords = ({ host, targetDataset }: StoreTarget, { datasets: [top] }: Inventory): Note => {
  const message = `the snapshots of ${targetDataset} on ${host} are derived from earlier sends of this host, since ${host} is not listed`;
  return { kind: 'unseen', dataset: top?.name ?? targetDataset, message };
};

const refusedThere = ({ host, targetDataset }: StoreTarget, error: ErrorBody): ZpsendError =>
  new ZpsendError(
    error.code,
    `${host} rejected a stored stream for ${targetDataset} (${error.message}). Storing for it is paused. Run zpsend send --channel auto while ` +
      `${host} is online.`,
    { ...error.details, host, dataset: targetDataset, reason: 'refused-there' },
  );

/** What the target has reported of its stored streams. @throws ZpsendError as `unread` */
const receiptsAt = (store: StoreDeliveryDeps['store'], host: string, place: StoreTarget): Promise<PlacedReceipt[]> =>
  store.receipts.read(host, place.host).catch((thrown) => {
    const error = ZpsendError.from(thrown);
    throw error.code === 'UNREACHABLE' ? unread(place, 'receipts', error) : error;
  });

/** What this host keeps of a target cannot be read. That is a failure of our own connection, not of the target. */
const unread = ({ host, targetDataset }: StoreTarget, what: string, thrown: unknown): ZpsendError =>
  new ZpsendError(
    'TIMEOUT',
    `the ${what} of ${targetDataset} on ${host} cannot be read: ${ZpsendError.from(thrown).message}`,
    { reason: 'connection-lost' },
  );

/** The target received streams before, and the source has no record of their snapshots. */
function lostThere(
  { host, targetDataset }: StoreTarget,
  [first = targetDataset, ...others]: readonly string[],
): ZpsendError {
  const more = others.length > 0 ? ` and ${others.length} more datasets` : '';
  return new ZpsendError(
    'UNREACHABLE',
    `the snapshots of ${first}${more} on ${host} are not known here, so nothing can be stored for it. Send once while it is online`,
    { host, dataset: first },
  );
}

/** Partial state of a direct transfer can only be continued directly: a stored stream would discard it. */
function checkPartial({ host, targetDataset }: StoreTarget, seen: Inventory): void {
  const partial = seen.datasets.find(
    ({ name, resumeToken }) => resumeToken !== undefined && isWithin(name, targetDataset),
  );
  if (!partial) return;
  throw new ZpsendError(
    'UNREACHABLE',
    `${host} has partial state of ${partial.name}, which a stored stream cannot continue. Send with channel auto or direct ` +
      `while it is online`,
    { host, dataset: partial.name },
  );
}
