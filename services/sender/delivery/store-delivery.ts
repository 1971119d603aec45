import { deliveriesOf, type SettledDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { catalogBounds } from '../../../lib/bus/channel/store/manifests.ts';
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
import { afterDelivery, type Place, readKnownTarget, writeKnownTarget } from '../store/known-targets.ts';
import type { OwnStore } from '../store/own-store.ts';
import { askStore } from '../transfer/via-store.ts';
import type { Delivery, DeliveryDeps } from './delivery.ts';
import { storable } from './storable.ts';

export interface StoreDeliveryDeps extends DeliveryDeps, Pick<JobStatusDeps, 'status'> {
  readonly store: OwnStore;
  /** How long a job waits for a full store, in ms. */
  readonly patienceMs: number;
}

export const placeOf = ({ targetHost, targetDataset }: JobContext): Place => ({
  host: targetHost,
  root: targetDataset,
});

/** What the store tells of a place before anything is sent to it. */
export interface Waiting {
  /** Something is on its way there. What is sent past it would not follow on what the target has then. */
  readonly isAwaited: boolean;
  /** What its target is done with, and has reported by now. */
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

/** Through the store, planned against what the target will have once it has taken what waits for it. */
export function storeDelivery(deps: StoreDeliveryDeps, context: JobContext): Delivery {
  const { host, zfs, bus, log, store, patienceMs } = deps;
  const place = placeOf(context);
  // conflicts on the target are not seen from here, so none is resolved
  const { conflict: _, ...request } = context.request;
  const planned: JobContext = { ...context, request };
  /** What is known besides what is remembered. That is remembered with what is stored first: later its cursors tell less. */
  let news: LastKnownTarget | undefined;

  async function plan(arrived: readonly Step[] = []): Promise<Planned> {
    // a read does not create the store
    const found = await store.find();
    const { sourceDataset, isRecursive } = context;
    const datasets = await zfs.list({ dataset: sourceDataset, recursive: isRecursive, creation: true });
    // in this order, against that in which the keeper writes: what has gone from one is in the next
    const { waiting } = (await found?.catalog.read()) ?? { waiting: [] };
    checkRoom(host, waiting.length);
    const receipts = found ? await store.receipts.read(host, place.host) : [];
    const remembered = found && (await readKnownTarget(found.bucket, place));
    const rows = await knownEntries(deps, place.host).catch((thrown) => {
      // a known target is not assumed to be empty
      if (!remembered) throw unreadRows(place, thrown);
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
        return await askStore({ bucket, room: store.room, clearing: store.clearing, log, patienceMs }, transfer, step);
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

/** What is remembered, with what is known besides: the target was seen since it refused what was stored, if more was sent since. */
function knownAfter(
  remembered: LastKnownTarget | undefined,
  { target, isNews, unseenKeys }: KnownTarget,
): LastKnownTarget {
  const keys = unseenKeys.size > 0 && { unseenKeys: [...unseenKeys] };
  if (!remembered || !isNews) return { ...remembered, version: 1, target, ...keys };
  const { refused: _, ...others } = remembered;
  return { ...others, target, ...keys };
}

/** What is not certain is not recorded, so that it is determined again. */
const without = (lastKnown: LastKnownTarget, unsure: ReadonlySet<string>): LastKnownTarget => ({
  ...lastKnown,
  target: { ...lastKnown.target, datasets: lastKnown.target.datasets.filter(({ name }) => !unsure.has(name)) },
});

/** The request may mean a host of another name. */
const noteOfUnknown = ({ host, root }: Place, { datasets: [top] }: Inventory): Note => {
  const message = `nothing was ever sent from here to ${root} on ${host}, as far as is known, so it is assumed to be empty`;
  return { kind: 'unseen', dataset: top?.name ?? root, message };
};

const noteOfRecords = ({ host, root }: Place, { datasets: [top] }: Inventory): Note => {
  const message = `what ${host} has of ${root} is derived from what was sent from here, since ${host} is not asked`;
  return { kind: 'unseen', dataset: top?.name ?? root, message };
};

const refusedThere = ({ host, root }: Place, error: ErrorBody): ZpsendError =>
  new ZpsendError(
    error.code,
    `${host} rejected a stored stream for ${root} (${error.message}). Storing for it is paused. Run zpsend send --channel auto while ` +
      `${host} is online.`,
    { ...error.details, host, dataset: root, reason: 'refused-there' },
  );

/** What was sent there cannot be read. That is a failure of our own connection, not of the target. */
const unreadRows = ({ host, root }: Place, thrown: unknown): ZpsendError =>
  new ZpsendError(
    'TIMEOUT',
    `what was sent to ${root} on ${host} cannot be read: ${ZpsendError.from(thrown).message}`,
    {
      reason: 'connection-lost',
    },
  );

/** Something was sent there before, and the source has no record of what. */
function lostThere({ host, root }: Place, [first = root, ...others]: readonly string[]): ZpsendError {
  const more = others.length > 0 ? ` and ${others.length} more datasets` : '';
  return new ZpsendError(
    'UNREACHABLE',
    `what ${host} has of ${first}${more} is no longer known here, so nothing can be stored for it. Send once while it is online`,
    { host, dataset: first },
  );
}

/** Partial state of a direct transfer can only be continued directly: a stored stream would discard it. */
function checkPartial({ host, root }: Place, seen: Inventory): void {
  const partial = seen.datasets.find(({ name, resumeToken }) => resumeToken !== undefined && isWithin(name, root));
  if (!partial) return;
  throw new ZpsendError(
    'UNREACHABLE',
    `${host} has partial state of ${partial.name}, which a stored stream cannot continue. Send with channel auto or direct ` +
      `while it is online`,
    { host, dataset: partial.name },
  );
}
