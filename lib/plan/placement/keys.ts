import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { type Refusal, refuse } from '../refusal.ts';

/** Encrypted, and its key is not loaded: nothing of it can be read or written but raw. */
export const isLocked = ({ encryption, keystatus }: DatasetEntry): boolean =>
  encryption !== 'off' && keystatus === 'unavailable';

/**
 * Why a plain stream can neither be made nor received: a key is not loaded. Some releases do not refuse to receive it, and
 * leave a dataset that is damaged or unencrypted (openzfs#14055, openzfs#13598).
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
    `The key of ${dataset.name} on ${host} is not loaded there: zfs load-key ${dataset.name}`,
    {
      details: { host, dataset: dataset.name },
    },
  );
}
