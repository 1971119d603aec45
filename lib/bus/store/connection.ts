import { connect } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Bus } from '../connect.ts';
import type { JetStreamAt } from '../jetstream.ts';

/** Streams on their way into the store and out of it, apart from control; opened when first needed. */
export interface StoreConnection {
  open(): Promise<JetStreamAt>;
  close(): Promise<void>;
}

/** @param name shown by `nats server report connections` */
export function storeConnection(bus: Bus, name: string): StoreConnection {
  let opened: Promise<JetStreamAt> | undefined;
  return {
    open() {
      opened ??= connect({ ...bus.options, name, waitOnFirstConnect: false })
        .then((nc) => ({ nc }))
        .catch((thrown) => {
          opened = undefined;
          throw new ZpsendError('UNREACHABLE', `no connection for stored streams: ${ZpsendError.from(thrown).message}`);
        });
      return opened;
    },
    async close() {
      const connected = await opened?.catch(() => undefined);
      await connected?.nc.close();
    },
  };
}
