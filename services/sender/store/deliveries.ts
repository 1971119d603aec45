import {
  isSettled,
  isSettledDelivery,
  type SettledDelivery,
  type StoredDelivery,
} from '../../../lib/bus/channel/store/delivery-state.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import type { StoreTarget } from './known-targets.ts';

export const isAt = (
  { host, targetDataset }: StoreTarget,
  { target, start }: Pick<StoredDelivery, 'target' | 'start'>,
): boolean => target === host && isWithin(start.targetDataset, targetDataset);

/** The deliveries of a store for one target: those that are settled, and those still to be received, both in order. */
export function deliveriesAt(
  place: StoreTarget,
  deliveries: readonly StoredDelivery[],
): { readonly settled: readonly SettledDelivery[]; readonly starts: readonly StoredStart[] } {
  const own = deliveries.filter((delivery) => isAt(place, delivery));
  return {
    settled: own.filter(isSettledDelivery),
    starts: own.filter(({ state }) => !isSettled(state)).map(({ start }) => start),
  };
}

/** The deliveries for targets that have reported nothing of any stored stream. */
export function unreported(deliveries: readonly StoredDelivery[]): StoredDelivery[] {
  const reporting = new Set(deliveries.flatMap(({ target, state }) => (state.type === 'stored' ? [] : [target])));
  return deliveries.filter(({ target }) => !reporting.has(target));
}
