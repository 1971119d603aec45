import { isLost, isSettled, type StoredDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { type Code, type ErrorBody, hasReason } from '../../../schemas/errors.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';
import type { StoredStart } from '../../../schemas/stored.ts';

/** A stored stream for this host. */
export type StoredItem = Pick<StoredDelivery, 'stream' | 'place' | 'start'>;

/** The unsettled streams for a host, in the order in which they were stored. */
export const itemsFor = (host: string, deliveries: readonly StoredDelivery[]): StoredDelivery[] =>
  deliveries.filter(({ target, state }) => target === host && !isSettled(state));

/**
 * Must a stream wait, because an earlier one into one of these datasets is tried again? It is an increment of that dataset, lies below it,
 * or is a clone of it.
 */
export const isBehind = ({ targetDataset, origin }: StoredStart, blocked: readonly string[]): boolean =>
  blocked.some((name) => isWithin(targetDataset, name) || (origin !== undefined && isWithin(datasetOf(origin), name)));

/**
 * Failures that may pass while a stream is stored: a pool that is full, read-only, or not imported yet, a key that is not loaded,
 * an encryption root whose key is still to arrive, an abort. Any failure in a pool that is not imported may pass, too.
 */
const passing: ReadonlySet<Code> = new Set([
  'NO_SPACE',
  'READ_ONLY',
  'KEY_REQUIRED',
  'KEY_MISMATCH',
  'INTERNAL',
  'ABORTED',
]);

/** Is a stream tried again after this? A key that was changed on the target since the plan stays changed. */
export const mayPass = (error: ErrorBody): boolean =>
  !isLost(error) && !hasReason(error, 'KEY_MISMATCH', 'key-changed') && (error.retryable || passing.has(error.code));

/** The guids of lost streams for a host. Streams based on them are lost too. */
export const lostBefore = (host: string, deliveries: readonly StoredDelivery[]): Set<string> =>
  new Set(
    deliveries.flatMap(({ target, start, state }) => (target === host && state.type === 'lost' ? [start.to.guid] : [])),
  );
