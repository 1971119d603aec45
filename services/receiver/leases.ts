import type { Lease } from '../../lib/bus/lease/lease.ts';
import type { Locks } from '../../lib/bus/lease/locks.ts';
import type { Lock } from '../../schemas/transfer.ts';

/**
 * The locks of one dataset, and of another that its step renames, as one lease: both or neither (I1).
 * @throws ZpsendError LOCKED, UNREACHABLE
 */
export async function acquireAll(
  locks: Locks,
  host: string,
  dataset: string,
  other: string | undefined,
  lock: Lock,
): Promise<Lease> {
  const first = await locks.acquire(host, dataset, lock);
  if (other === undefined) return first;
  const second = await locks.acquire(host, other, lock).catch(async (error) => {
    await first.release();
    throw error;
  });
  return {
    get revision() {
      return first.revision;
    },
    lost: AbortSignal.any([first.lost, second.lost]),
    async release() {
      await Promise.all([first.release(), second.release()]);
    },
  };
}
