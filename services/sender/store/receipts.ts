import type { PlacedReceipt } from '../../../lib/bus/channel/store/receipts.ts';
import { predictInventory } from '../../../lib/plan/predict-target.ts';
import { reasonOf } from '../../../schemas/errors.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { LastKnownTarget, Receipt, StoredStart, WaitingStream } from '../../../schemas/stored.ts';
import type { Held } from '../reporting/store-blocked.ts';
import { hadBase, type Place } from './known-targets.ts';

/** What a target said last of a stream that still lies in the store, for itself or for others. */
export interface TerminalReceipt {
  /** Of the stream and its place in it. */
  readonly key: string;
  readonly target: string;
  readonly start: StoredStart;
  readonly receipt: Receipt;
}

export const keyOf = (id: string, place: number): string => `${id}.${place}`;

/** What targets say of streams that are there, in the order in which those were stored. */
function wordsOf(waiting: readonly WaitingStream[], receipts: readonly PlacedReceipt[]): TerminalReceipt[] {
  const said = new Map(receipts.map(({ target, id, place, receipt }) => [`${target} ${keyOf(id, place)}`, receipt]));
  return waiting.flatMap(({ id, targets }) =>
    targets.flatMap(({ host: target, start }, place) => {
      const key = keyOf(id, place);
      const receipt = said.get(`${target} ${key}`);
      return receipt ? [{ key, target, start, receipt }] : [];
    }),
  );
}

/** In the order in which the streams were stored. */
export const terminalReceiptsOf = (
  waiting: readonly WaitingStream[],
  receipts: readonly PlacedReceipt[],
): TerminalReceipt[] => wordsOf(waiting, receipts).filter(({ receipt }) => receipt.state !== 'running');

/** What targets could not take so far, and try again. */
export const heldOf = (waiting: readonly WaitingStream[], receipts: readonly PlacedReceipt[]): Held[] =>
  wordsOf(waiting, receipts).flatMap(({ target, start, receipt: { state, error } }) =>
    state === 'running' && error ? [{ target, start, error }] : [],
  );

export const isAbout = ({ host, root }: Place, { target, start }: Omit<Held, 'error'>): boolean =>
  target === host && isWithin(start.dataset, root);

/** What a store has for one place: what was said of it, and the streams of which no last word was said, both in order. */
export function waitingAt(
  place: Place,
  waiting: readonly WaitingStream[],
  receipts: readonly PlacedReceipt[],
): { readonly words: readonly TerminalReceipt[]; readonly starts: readonly StoredStart[] } {
  const words = terminalReceiptsOf(waiting, receipts).filter((word) => isAbout(place, word));
  const over = new Set(words.map(({ key }) => key));
  const starts = waiting.flatMap(({ id, targets }) =>
    targets.flatMap(({ host: target, start }, at) =>
      isAbout(place, { target, start }) && !over.has(keyOf(id, at)) ? [start] : [],
    ),
  );
  return { words, starts };
}

/**
 * What is known of a place once it was seen: all of it, or only its root, and then of what lies below that what was known before.
 * @param words what it had said before it was seen
 */
export function seenAs(
  before: LastKnownTarget | undefined,
  {
    root,
    isWhole,
    target,
    words,
  }: { root: string; isWhole: boolean; target: Inventory; words: readonly TerminalReceipt[] },
): LastKnownTarget {
  const isSeen = (dataset: string): boolean => isWhole || dataset === root || !isWithin(dataset, root);
  const kept = before?.target.datasets.filter(({ name }) => !isSeen(name)) ?? [];
  const names = new Set(kept.map(({ name }) => name));
  const datasets = [...target.datasets.filter(({ name }) => !names.has(name)), ...kept];
  const heard = words.filter(({ start }) => isSeen(start.dataset)).map(({ key }) => key);
  const unseenKeys = before?.unseenKeys?.filter((name) => !isSeen(name)) ?? [];
  return {
    version: 1,
    ...(unseenKeys.length > 0 && { unseenKeys }),
    target: { ...target, datasets: datasets.sort((one, other) => (one.name < other.name ? -1 : 1)) },
    heard: [...new Set([...(isWhole ? [] : (before?.heard ?? [])), ...heard])],
  };
}

/**
 * What is known of a place after a word about it; the same known target where it knew that already. A word lies in the store until every
 * target of its stream has said one, and counts once: what was seen of the place since then is newer.
 */
export function learned(
  lastKnown: LastKnownTarget,
  { key, start, receipt: { state, error } }: TerminalReceipt,
): LastKnownTarget {
  if (lastKnown.heard?.includes(key)) return lastKnown;
  const heard = [...(lastKnown.heard ?? []), key];
  if (state === 'done') return { ...lastKnown, target: predictInventory(lastKnown.target, [start]), heard };
  const isLost = error !== undefined && reasonOf(error) === 'lost';
  // what was damaged in the store says nothing of the target: it is sent again; and what it never had was lost on its way
  if (isLost && (error.code === 'STREAM_BROKEN' || !hadBase(lastKnown, start))) return { ...lastKnown, heard };
  // what builds on a refused stream is refused for that alone
  const refused = lastKnown.refused ?? error;
  return { ...lastKnown, ...(refused && { refused }), heard };
}
