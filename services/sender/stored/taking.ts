import { setTimeout as sleep } from 'node:timers/promises';
import { presumed } from '../../../lib/plan/presume.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import type { OwnStore } from './store.ts';

/** How often it is looked whether a target takes something, and for how long: a receiver looks every second, after a failure every five. */
const everyMs = 500;
const patienceMs = 8000;

/** Would the target have more than it has, once it has taken what waits for it? */
export function lacks(target: Inventory, starts: readonly StoredStart[]): boolean {
  const count = ({ datasets }: Inventory): number => datasets.reduce((sum, { snapshots }) => sum + snapshots.length, 0);
  return count(presumed(target, starts)) > count(target);
}

/**
 * Does a target, which answers, take what lies in the store for it, whatever of that it is at? One that may not read the store, or
 * allows its source nothing, never will, and says nothing of it.
 * @throws ZpsendError where that cannot be looked at
 */
export async function isTaking(
  store: Pick<OwnStore, 'receipts'>,
  host: string,
  target: string,
  signal: AbortSignal,
): Promise<boolean> {
  const said = async () => JSON.stringify(await store.receipts.read(host, target));
  const before = await said();
  for (const end = performance.now() + patienceMs; performance.now() < end; ) {
    await sleep(everyMs, undefined, { signal });
    if ((await said()) !== before) return true;
  }
  return false;
}
