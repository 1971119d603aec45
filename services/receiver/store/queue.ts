import type { PlacedReceipt } from '../../../lib/bus/channel/store/receipts.ts';
import { type Code, type ErrorBody, hasReason, reasonOf } from '../../../schemas/errors.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';
import type { StoredStart, WaitingStream } from '../../../schemas/stored.ts';

/** One stored stream as far as it is this host's. */
export interface StoredItem {
  readonly stream: WaitingStream;
  /** Which of its targets. */
  readonly place: number;
  readonly start: StoredStart;
}

/** What waits for a host, in the order in which it was stored, without what that host has done with. */
export function itemsFor(
  host: string,
  waiting: readonly WaitingStream[],
  receipts: readonly Pick<PlacedReceipt, 'target' | 'id' | 'place' | 'receipt'>[],
): StoredItem[] {
  const keyOf = (id: string, place: number): string => `${id} ${place}`;
  const over = new Set(
    receipts
      .filter(({ target, receipt }) => target === host && receipt.state !== 'running')
      .map(({ id, place }) => keyOf(id, place)),
  );
  return waiting.flatMap((stream) =>
    stream.targets.flatMap((target, place) =>
      target.host === host && !over.has(keyOf(stream.id, place)) ? [{ stream, place, start: target.start }] : [],
    ),
  );
}

/**
 * Must it wait for one of these datasets, because what comes first there has to be tried again? It adds to it, lies below it, or is a
 * clone of what is there.
 */
export const isBehind = ({ dataset, origin }: StoredStart, blocked: readonly string[]): boolean =>
  blocked.some((name) => isWithin(dataset, name) || (origin !== undefined && isWithin(datasetOf(origin), name)));

/**
 * What may pass at the target while a stream waits: a pool that is full, read-only, or not imported yet, a key that is not loaded,
 * a root's key that has yet to come, somebody who aborted it. Whatever is said of a place whose pool is not there may pass too.
 */
const passing: ReadonlySet<Code> = new Set([
  'NO_SPACE',
  'READ_ONLY',
  'KEY_REQUIRED',
  'KEY_MISMATCH',
  'INTERNAL',
  'ABORTED',
]);

/** Is it to be tried again, for as long as it waits? A key that was changed there since the stream was planned stays so. */
export const mayPass = (error: ErrorBody): boolean =>
  !isLost(error) && !hasReason(error, 'KEY_MISMATCH', 'key-changed') && (error.retryable || passing.has(error.code));

/** The stream itself is gone or damaged, or what it starts from never came: its target has nothing to do with that. */
export const isLost = (error: ErrorBody): boolean => reasonOf(error) === 'lost';

/** The guids that a host's streams were to bring that are lost: what starts from them is lost too. */
export const lostBefore = (
  host: string,
  waiting: readonly WaitingStream[],
  receipts: readonly Pick<PlacedReceipt, 'target' | 'id' | 'place' | 'receipt'>[],
): Set<string> =>
  new Set(
    waiting.flatMap(({ id, targets }) =>
      targets.flatMap((target, at) => {
        const own = receipts.find((one) => one.target === host && one.id === id && one.place === at)?.receipt;
        return target.host === host && own?.state === 'failed' && own.error && isLost(own.error)
          ? [target.start.to.guid]
          : [];
      }),
    ),
  );
