import { targetRoot } from '../../../lib/plan/naming.ts';
import { planDatasets } from '../../../lib/plan/plan.ts';
import { presumed, unseen } from '../../../lib/plan/presume.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { unseenNotes } from '../../../lib/plan/unseen-inheritors.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';
import type { Note, SendRequest, Step } from '../../../schemas/plan.ts';
import { cursorsOf } from '../cursor.ts';
import { noCursors } from '../cursors.ts';
import type { Planned } from '../planning.ts';
import type { Way, WayDeps } from '../way.ts';
import { askStore } from './ask.ts';
import { storedCursors } from './cursors.ts';
import { heldNotes } from './held-notes.ts';
import { type LastWord, learned, waitingAt } from './last-words.ts';
import { type Place, readSight, writeSight } from './sights.ts';
import type { OwnStore } from './store.ts';

export interface StoredWayDeps extends WayDeps {
  readonly store: OwnStore;
  /** How long a full store is waited for, in milliseconds. */
  readonly patienceMs: number;
}

export const placeOf = (request: SendRequest): Place => ({ host: request.to.host, root: targetRoot(request) });

/** What the store tells of a place before anything is sent to it. */
export interface Waiting {
  /** Something is on its way there. What is sent past it would not follow on what the target has then. */
  readonly isAwaited: boolean;
  /** What it has said by now. */
  readonly words: readonly LastWord[];
}

export const nothingWaits: Waiting = { isAwaited: false, words: [] };

/** @throws ZpsendError where the store cannot be looked at */
export async function lookForWaiting(store: OwnStore, host: string, request: SendRequest): Promise<Waiting> {
  const found = await store.find();
  if (!found) return nothingWaits;
  const { waiting } = await found.catalog.read();
  if (!waiting.some(({ targets }) => targets.some((target) => target.host === request.to.host))) return nothingWaits;
  const place = placeOf(request);
  const receipts = await store.receipts.read(host, place.host);
  const { words, starts } = waitingAt(place, waiting, receipts);
  return { isAwaited: starts.length > 0, words };
}

/** Through the store, planned against what the target will have once it has taken what waits for it. */
export function storedWay(deps: StoredWayDeps, request: SendRequest): Way {
  const { host, zfs, bus, log, store, patienceMs } = deps;
  const place = placeOf(request);
  // what stands in the way there is not seen, so nothing is planned away
  const { conflict: _, ...asked } = request;
  /** Nothing is known of it yet, and from what is stored first, that is remembered: later there are cursors, and they tell less. */
  let isNew = false;

  async function plan(arrived: readonly Step[] = []): Promise<Planned> {
    // to look makes no store
    const found = await store.find();
    const datasets = await zfs.list({ dataset: datasetOf(request.dataset), recursive: request.package !== undefined });
    // in this order, against that in which the keeper writes: what has gone from one is in the next
    const { waiting } = (await found?.catalog.read()) ?? { waiting: [] };
    const receipts = found ? await store.receipts.read(host, place.host) : [];
    const remembered = found && (await readSight(found.bucket, place));
    const { words, starts } = waitingAt(place, waiting, receipts);
    const sight = remembered && words.reduce(learned, remembered);
    const source: Inventory = { host, datasets };
    if (sight?.refused) throw refusedThere(place, sight.refused);
    if (!sight) checkUnseen(place, source);
    if (sight) checkPartial(place, sight.target);
    isNew = !sight;
    const known = sight?.target ?? unseen(place.host, place.root);
    const target = presumed(known, starts);
    const plans = planDatasets(asked, source, target, arrived);
    const unseenKeys = isRefusal(plans) || request.package ? [] : unseenNotes(plans.datasets, { source, target });
    const notes = [
      ...unseenKeys,
      ...(isNew ? [noteOfUnseen(place, source)] : []),
      ...(found ? await heldNotes({ bus, bucket: found.bucket }, place, waiting, receipts) : []),
    ];
    const noted = isRefusal(plans) ? plans : { ...plans, notes: [...plans.notes, ...notes] };
    return { plans: noted, source, target, known };
  }

  return {
    channel: 'store',
    plan,
    async ask(transfer, step) {
      try {
        const { bucket } = await store.open();
        if (isNew) await writeSight(bucket, place, { version: 1, target: unseen(place.host, place.root) });
        isNew = false;
        return await askStore({ bucket, room: store.room, clearing: store.clearing, log, patienceMs }, transfer, step);
      } catch (thrown) {
        // nobody shall wait for it
        step.seat?.decline();
        throw thrown;
      }
    },
    cursors: deps.bookmarks ? storedCursors(zfs, log, place.host) : noCursors,
    arrived: async () => {},
  };
}

/** It may be a host of another name that is meant. */
const noteOfUnseen = ({ host, root }: Place, { datasets: [top] }: Inventory): Note => {
  const message = `${host} has never been sent ${root} from here with channel auto or store, and is taken for empty`;
  return { kind: 'unseen', dataset: top?.name ?? root, message };
};

const refusedThere = ({ host, root }: Place, error: ErrorBody): ZpsendError =>
  new ZpsendError(
    error.code,
    `${host} has refused what was stored for ${root} (${error.message}). Nothing more is stored for it until a job has seen it: ` +
      `send with channel auto when it answers`,
    { ...error.details, host, dataset: root },
  );

/** Has it been sent to before? Then it has something, and without a listing nobody knows of it. */
function checkUnseen({ host, root }: Place, source: Inventory): void {
  const top = source.datasets[0]?.name ?? '';
  const was = source.datasets.some(
    ({ name, bookmarks }) => cursorsOf({ host, dataset: `${root}${name.slice(top.length)}` }, bookmarks).length > 0,
  );
  if (!was) return;
  throw new ZpsendError(
    'UNREACHABLE',
    `what ${host} has of ${root} is not remembered here, so nothing can be stored for it: send once with channel auto ` +
      `while it answers, and from then on it is`,
    { host, dataset: root },
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
