import { describe, expect, test } from 'vitest';
import type { Lease } from '../../../../../lib/bus/locks/lease.ts';
import type { Locks } from '../../../../../lib/bus/locks/locks.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../../../schemas/transfer.ts';
import { acquireAll } from '../../../../../services/receiver/receive/locks.ts';

const renaming: ReceiveStart = {
  ...{ transfer: 'abc123t1', job: 'abc123', sourceHost: 'smos-01', targetDataset: 'tank/a', partial: 'resume' },
  to: { name: 'zones/test@now', guid: '11' },
  before: { kind: 'rename', from: 'tank/a', to: 'tank/a_diverged_5', guid: '9' },
};

/** Locks of which another transfer has `taken`; each that is given can be lost. */
function openLocks(taken?: string) {
  const lost = new Map<string, AbortController>();
  const held = new Set<string>();
  const locks: Locks = {
    async acquire(_, dataset): Promise<Lease> {
      if (dataset === taken) throw new ZpsendError('LOCKED', `${dataset} is locked`);
      const controller = new AbortController();
      lost.set(dataset, controller);
      held.add(dataset);
      const { signal } = controller;
      return {
        ...{ revision: 7, lost: signal, release: async () => void held.delete(dataset) },
        ...{ assertHeld: () => signal.throwIfAborted(), confirmed: async () => signal.throwIfAborted() },
      };
    },
    list: async () => [],
  };
  return { locks, lost, held, acquire: () => acquireAll(locks, 'smos-00', 'one', renaming) };
}

describe('I1: the locks of a renaming are one lease', () => {
  test.each(['tank/a', 'tank/a_diverged_5'])('that is lost with the lock of %s', async (dataset) => {
    const { acquire, lost } = openLocks();
    const lease = await acquire();
    expect(lease.lost.aborted).toBe(false);
    const error = new ZpsendError('LOCKED', 'lost');
    lost.get(dataset)?.abort(error);
    expect([lease.lost.aborted, lease.lost.reason]).toEqual([true, error]);
  });

  test.each(['tank/a', 'tank/a_diverged_5'])('that allows no command after the lock of %s is lost', async (dataset) => {
    const { acquire, lost } = openLocks();
    const lease = await acquire();
    lease.assertHeld();
    await lease.confirmed();
    const error = new ZpsendError('LOCKED', 'lost');
    lost.get(dataset)?.abort(error);
    expect(() => lease.assertHeld()).toThrow(error);
    await expect(lease.confirmed()).rejects.toBe(error);
  });

  test('that releases both locks', async () => {
    const { acquire, held } = openLocks();
    const lease = await acquire();
    expect([...held]).toEqual(['tank/a', 'tank/a_diverged_5']);
    await lease.release();
    expect(held.size).toBe(0);
  });

  test('that holds neither lock if another transfer holds one', async () => {
    const { acquire, held } = openLocks('tank/a_diverged_5');
    await expect(acquire()).rejects.toMatchObject({ code: 'LOCKED' });
    expect(held.size).toBe(0);
  });
});
