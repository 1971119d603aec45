import { isLost, isSettled, type StoredDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { type Code, type ErrorBody, hasReason } from '../../../schemas/errors.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';
import type { StoredStart } from '../../../schemas/stored.ts';

/** A stored stream for this host. */
export type StoredItem = Pick<StoredDelivery, 'stream' | 'place' | 'start'>;

/** What is stored for a host and not settled, in the order in which it was stored. */
export const itemsFor = (host: string, deliveries: readonly StoredDelivery[]): StoredDelivery[] =>
  deliveries.filter(({ target, state }) => target === host && !isSettled(state));

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

/** The guids that lost streams were to bring to a host. What starts from them is lost too. */
export const lostBefore = (host: string, deliveries: readonly StoredDelivery[]): Set<string> =>
  new Set(
    deliveries.flatMap(({ target, start, state }) => (target === host && state.type === 'lost' ? [start.to.guid] : [])),
  );
