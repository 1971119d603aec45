import { expect, test } from 'vitest';
import { openSpaceQueue } from '../../../../../lib/bus/channel/store/wait-for-space.ts';
import { askStore, type StoreOrder } from '../../../../../services/sender/transfer/via-store.ts';

type Arguments = Parameters<typeof askStore>;

test('a stream is queued while another one waits for space in the store, and nothing is asked of it', async () => {
  const spaceQueue = openSpaceQueue();
  const bound = async () => {
    throw new Error('the bucket was asked');
  };
  const order = { bucket: { source: 'src', bound }, spaceQueue } as unknown as StoreOrder;
  const asked = () => askStore(order, {} as Arguments[1], { step: {} } as Arguments[2]);
  spaceQueue.claim('stream1');
  await expect(asked()).rejects.toMatchObject({ code: 'BUSY', details: { reason: 'queued' } });
  spaceQueue.release('stream1');
  await expect(asked()).rejects.toThrow('the bucket was asked');
});
