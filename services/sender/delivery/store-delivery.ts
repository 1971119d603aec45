import { deliveriesOf, type SettledDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { catalogBounds } from '../../../lib/bus/channel/store/manifests.ts';
import { changingRoots, unseenNotes } from '../../../lib/plan/placement/unseen-inheritors.ts';
import { planDatasets } from '../../../lib/plan/plan.ts';
import { predictInventory } from '../../../lib/plan/predict-target.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { targetRoot } from '../../../lib/plan/request/target-name.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';
import type { Note, SendRequest, Step } from '../../../schemas/plan.ts';
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
  /** How long a full store is waited for, in milliseconds. */
  readonly patienceMs: number;
}

export const placeOf = (request: SendRequest): Place => ({ host: request.to.host, root: targetRoot(request) });

/** What the store tells of a place before anything is sent to it. */
export interface Waiting {
  /** Something is on its way there. What is sent past it would not follow on what the target has then. */
  readonly isAwaited: boolean;
  /** What its target is done with, and has reported by now. */
  readonly settled: readonly SettledDelivery[];
}

export const nothingWaits: Waiting = { isAwaited: false, settled: [] };

/** @throws ZpsendError where the store cannot be looked at */
export async function lookForWaiting(store: OwnStore, host: string, request: SendRequest): Promise<Waiting> {
  const found = await store.find();
  if (!found) return nothingWaits;
  const { waiting } = await found.catalog.read();
  if (!waiting.some(({ targets }) => targets.some((target) => target.host === request.to.host))) return nothingWaits;
  const place = placeOf(request);
  const receipts = await store.receipts.read(host, place.host);
  const { settled, starts } = deliveriesAt(place, deliveriesOf(waiting, receipts));
  return { isAwaited: starts.length > 0, settled };
}

/** Of a store with more streams no receiver takes anything. */
function checkRoom(host: string, streams: number): void {
  if (streams < catalogBounds.streams) return;
  throw new ZpsendError(
    'NO_SPACE',
    `${streams} streams wait in the store of ${host}, the most that receivers take of one store: zpsend store ls ${host} tells for whom`,
  );
}

/** Through the store, planned against what the target will have once it has taken what waits for it. */
export function storeDelivery(deps: StoreDeliveryDeps, request: SendRequest): Delivery {
  const { host, zfs, bus, log, store, patienceMs } = deps;
  const place = placeOf(request);
  // what stands in the way there is not seen, so nothing is planned away
  const { conflict: _, ...asked } = request;
  /** What is known besides what is remembered. That is remembered with what is stored first: later its cursors tell less. */
  let news: LastKnownTarget | undefined;

  async function plan(arrived: readonly Step[] = []): Promise<Planned> {
    // to look makes no store
    const found = await store.find();
    const recursive = request.package !== undefined;
    const datasets = await zfs.list({ dataset: datasetOf(request.dataset), recursive, creation: true });
    // in this order, against that in which the keeper writes: what has gone from one is in the next
    const { waiting } = (await found?.catalog.read()) ?? { waiting: [] };
    checkRoom(host, waiting.length);
    const receipts = found ? await store.receipts.read(host, place.host) : [];
    const remembered = found && (await readKnownTarget(found.bucket, place));
    const rows = await knownEntries(deps, place.host).catch((thrown) => {
      // a target that is remembered is not taken for an empty one
      if (!remembered) throw unreadRows(place, thrown);
      return new Map();
    });
    const deliveries = deliveriesOf(waiting, receipts);
    const { settled, starts } = deliveriesAt(place, deliveries);
    const source: Inventory = { host, datasets };
    const known = knownTarget(place, { source, rows, wish: asked.stream ?? {} }, remembered);
    if (known.lost.length > 0) throw lostThere(place, known.lost);
    const before = knownAfter(remembered, known);
    const lastKnown = remembered ? settled.reduce(afterDelivery, before) : before;
    if (lastKnown.refused) throw refusedThere(place, lastKnown.refused);
    checkPartial(place, lastKnown.target);
    news = known.isNews || known.isUnknown ? without(before, known.unsure) : undefined;
    const target = predictInventory(lastKnown.target, starts);
    const plans = planDatasets(asked, source, target, arrived);
    if (isRefusal(plans)) return { plans, source, target, known: lastKnown.target };
    const newKeys = changingRoots(plans.datasets, { source, target });
    const { unsure, unseenKeys } = known;
    const stored = storable(plans.datasets, target, { unsure, unseenKeys, newKeys });
    const notes = [
      ...plans.notes,
      ...(request.package ? [] : unseenNotes(stored, { source, target })),
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
        // nobody shall wait for it
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

/** What nobody knows for sure is looked for again the next time. */
const without = (lastKnown: LastKnownTarget, unsure: ReadonlySet<string>): LastKnownTarget => ({
  ...lastKnown,
  target: { ...lastKnown.target, datasets: lastKnown.target.datasets.filter(({ name }) => !unsure.has(name)) },
});

/** It may be a host of another name that is meant. */
const noteOfUnknown = ({ host, root }: Place, { datasets: [top] }: Inventory): Note => {
  const message = `${host} has never been sent ${root} from here, as far as is known, and is taken for empty`;
  return { kind: 'unseen', dataset: top?.name ?? root, message };
};

const noteOfRecords = ({ host, root }: Place, { datasets: [top] }: Inventory): Note => {
  const message = `${host} is not asked what it has of ${root}: that is taken from what was sent there from here`;
  return { kind: 'unseen', dataset: top?.name ?? root, message };
};

const refusedThere = ({ host, root }: Place, error: ErrorBody): ZpsendError =>
  new ZpsendError(
    error.code,
    `${host} rejected a stored stream for ${root} (${error.message}). Storing for it is paused. Run zpsend send --channel auto while ` +
      `${host} is online.`,
    { ...error.details, host, dataset: root, reason: 'refused-there' },
  );

/** Nothing tells what was sent there. That is a trouble of our own connection, and says nothing of the target. */
const unreadRows = ({ host, root }: Place, thrown: unknown): ZpsendError =>
  new ZpsendError(
    'TIMEOUT',
    `what was sent to ${root} on ${host} cannot be looked up: ${ZpsendError.from(thrown).message}`,
    {
      reason: 'connection-lost',
    },
  );

/** It was sent to before, so it has something, and the source has nothing left that says what. */
function lostThere({ host, root }: Place, [first = root, ...others]: readonly string[]): ZpsendError {
  const more = others.length > 0 ? ` and ${others.length} more datasets` : '';
  return new ZpsendError(
    'UNREACHABLE',
    `what ${host} has of ${first}${more} is not known here any more, so nothing can be stored for it: send once while it answers`,
    { host, dataset: first },
  );
}

/** What was begun directly goes on directly: a stored stream would have to drop it and begin anew. */
function checkPartial({ host, root }: Place, seen: Inventory): void {
  const begun = seen.datasets.find(({ name, resumeToken }) => resumeToken !== undefined && isWithin(name, root));
  if (!begun) return;
  throw new ZpsendError(
    'UNREACHABLE',
    `${host} holds partial state of ${begun.name}, and what is stored would begin anew: send with channel auto or direct ` +
      `while it answers, and it goes on from there`,
    { host, dataset: begun.name },
  );
}
