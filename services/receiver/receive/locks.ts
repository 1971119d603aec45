import type { Lease } from '../../../lib/bus/locks/lease.ts';
import type { Locks } from '../../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import { otherName } from '../admission/allowed-conflicts.ts';

const notTaken = new ZpsendError('LOCKED', 'the lock is not taken');

/** The lease before a lock is taken: nothing may be changed. */
export const noLease: Pick<Lease, 'assertHeld' | 'confirmed'> = {
  assertHeld() {
    throw notTaken;
  },
  confirmed: () => Promise.reject(notTaken),
};

/**
 * The locks of all datasets that a step changes, as one lease: its own dataset, and one that is renamed for it. Both or
 * neither (I1).
 * @throws ZpsendError LOCKED, UNREACHABLE
 */
export async function acquireAll(locks: Locks, host: string, instance: string, start: ReceiveStart): Promise<Lease> {
  const lock = {
    owner: `${host}/${instance}`,
    nonce: crypto.randomUUID(),
    transferHash: hashOfTransfer(start.transfer),
    source: start.sourceHost,
  };
  const first = await locks.acquire(host, start.targetDataset, lock);
  const other = otherName(start);
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
    assertHeld() {
      first.assertHeld();
      second.assertHeld();
    },
    // the first may be late again when the second is confirmed; each command calls assertHeld
    confirmed: async () => void (await Promise.all([first.confirmed(), second.confirmed()])),
    async release() {
      await Promise.all([first.release(), second.release()]);
    },
  };
}
