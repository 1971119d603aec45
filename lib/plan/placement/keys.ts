import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { type Refusal, refuse } from '../refusal.ts';

/** Is it encrypted without a loaded key? Then only raw streams can be sent or received. */
export const isLocked = ({ encryption, keystatus }: DatasetEntry): boolean =>
  encryption !== 'off' && keystatus === 'unavailable';

/**
 * Refuses a plain stream if the key of either side is not loaded. Some releases receive it nevertheless, into a dataset that is
 * damaged or unencrypted (openzfs#14055, openzfs#13598).
 */
export function lockedOut(
  source: DatasetEntry,
  existing: DatasetEntry | undefined,
  sourceHost: string,
  targetHost: string,
): Refusal | undefined {
  const locked = [
    { host: sourceHost, dataset: source },
    { host: targetHost, dataset: existing },
  ].find(({ dataset }) => dataset && isLocked(dataset));
  if (!locked?.dataset) return undefined;
  const { host, dataset } = locked;
  return refuse(
    'KEY_REQUIRED',
    `The key of ${dataset.name} on ${host} is not loaded. To fix: zfs load-key ${dataset.name} there`,
    {
      details: { host, dataset: dataset.name },
    },
  );
}
