import { expect, test } from 'vitest';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { type StoreDeliveryDeps, storeDelivery } from '../../../../../services/sender/delivery/store-delivery.ts';
import { isPassing } from '../../../../../services/sender/replication/error-policy.ts';
import { mentions } from '../../../../support/mentions.ts';
import { contextOf } from '../../../../support/planning.ts';
import { dataset, inventory } from '../../../lib/plan/plan-history.ts';

/**
 * The plan of streams to store for a target while `zfs-status` cannot be read.
 * @param lastKnown the known target; @param receipts what the target has reported
 */
function planned(lastKnown?: object, receipts: () => Promise<unknown[]> = async () => []) {
  const bucket = { get: async () => lastKnown && { bytes: Buffer.from(JSON.stringify(lastKnown)) } };
  const deps = {
    host: 'src',
    zfs: { list: async () => [dataset('p/a', '@1,1 @2,2')] },
    store: {
      find: async () => ({ bucket, catalog: { read: async () => ({ waiting: [] }) } }),
      receipts: { read: receipts },
    },
    status: { pending: () => [] },
    // without a connection
    bus: {},
  };
  const context = contextOf({ dataset: 'p/a', to: { host: 'dst', dataset: 'p/a' } });
  return storeDelivery(deps as unknown as StoreDeliveryDeps, context).plan();
}

test('an unknown target is not assumed to be empty while its status entries cannot be read', async () => {
  const failed = await planned().catch((thrown) => thrown);
  expect(failed).toMatchObject({
    code: 'TIMEOUT',
    message: mentions('p/a', 'dst'),
    details: { reason: 'connection-lost' },
  });
  expect(isPassing(failed)).toBe(true);
});

test('a job waits while the receipts of its target cannot be read', async () => {
  const unreachable = new ZpsendError('UNREACHABLE', 'receipts cannot be read from zfs-status: timeout');
  const failed = await planned(undefined, () => Promise.reject(unreachable)).catch((thrown) => thrown);
  expect(failed).toMatchObject({ message: mentions('p/a', 'dst', unreachable.message) });
  expect([isPassing(unreachable), isPassing(failed)]).toEqual([false, true]);
});

test('a known target is planned without its status entries', async () => {
  const target = inventory('dst', dataset('p', ''), dataset('p/a', '@1,1'));
  expect(await planned({ version: 1, target })).toMatchObject({
    plans: { datasets: [{ steps: [{ type: 'incremental', to: { name: 'p/a@2' } }] }] },
  });
});
