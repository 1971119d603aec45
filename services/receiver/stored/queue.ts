import type { PlacedReceipt } from '../../../lib/bus/store/receipts.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';
import type { Manifest, StoredStart } from '../../../schemas/stored.ts';

/** One stored stream as far as it is this host's. */
export interface StoredItem {
  readonly manifest: Manifest;
  /** Which of the manifest's targets. */
  readonly place: number;
  readonly start: StoredStart;
}

/** What waits for a host, in the order in which it was stored, without what that host has done with. */
export function itemsFor(
  host: string,
  waiting: readonly Manifest[],
  receipts: readonly Pick<PlacedReceipt, 'target' | 'id' | 'place' | 'receipt'>[],
): StoredItem[] {
  const keyOf = (id: string, place: number): string => `${id} ${place}`;
  const over = new Set(
    receipts
      .filter(({ target, receipt }) => target === host && receipt.state !== 'running')
      .map(({ id, place }) => keyOf(id, place)),
  );
  return waiting.flatMap((manifest) =>
    manifest.targets.flatMap((target, place) =>
      target.host === host && !over.has(keyOf(manifest.id, place)) ? [{ manifest, place, start: target.start }] : [],
    ),
  );
}

/**
 * Must it wait for one of these datasets, because what comes first there has to be tried again? It adds to it, lies below it, or is a
 * clone of what is there.
 */
export const isBehind = ({ dataset, origin }: StoredStart, blocked: readonly string[]): boolean =>
  blocked.some((name) => isWithin(dataset, name) || (origin !== undefined && isWithin(datasetOf(origin), name)));

/** The snapshot came by another way in the meantime, and the step is done. */
export const isThere = ({ code, details }: ErrorBody): boolean =>
  code === 'EXISTS' && typeof details?.snapshot === 'string';
