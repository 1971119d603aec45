import { ZpsendError } from '../../../../schemas/errors.ts';
import type { Bus } from '../../connection/connect.ts';
import { type DataConnection, openDataConnection } from '../../data-connection/connection.ts';
import type { JetStreamAt } from '../../jetstream/jetstream.ts';

/** A JetStream, and a data connection for the objects in it. */
export interface StoreAt extends JetStreamAt {
  readonly dataConnection: DataConnection;
  /** The prefix of the subjects on which JetStream delivers to this user. */
  readonly deliveryPrefix: string;
}

/** The connection for stored streams, separate from control messages. It is opened at the first use, and closed with the bus. */
export interface StoreConnection {
  /** @throws ZpsendError UNREACHABLE */
  open(): Promise<StoreAt>;
  close(): Promise<void>;
}

/** @param name shown by `nats server report connections` */
export function storeConnection(bus: Bus, name: string): StoreConnection {
  let opened: Promise<StoreAt> | undefined;
  async function close(): Promise<void> {
    const connected = await opened?.catch(() => undefined);
    await connected?.dataConnection.close();
  }
  void bus.closed.then(close);
  return {
    open() {
      opened ??= openDataConnection({ ...bus.options, name, waitOnFirstConnect: false }, bus.refusal)
        .then((dataConnection) => ({ nc: dataConnection.nc, dataConnection, deliveryPrefix: bus.deliveryPrefix }))
        .catch((thrown) => {
          opened = undefined;
          throw new ZpsendError('UNREACHABLE', `no connection for stored streams: ${ZpsendError.from(thrown).message}`);
        });
      return opened;
    },
    close,
  };
}
