import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { z } from 'zod';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { openDataConnection } from '../../lib/bus/data-connection/connection.ts';
import { serve } from '../../lib/bus/rpc/serve.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { systemClock } from '../../lib/time/clock.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Step } from '../../schemas/plan.ts';
import { receiveStartSchema } from '../../schemas/transfer.ts';
import { logOf } from '../../services/host/log.ts';
import { askForTransfer } from '../../services/sender/transfer/direct.ts';
import { useBus } from './bus.ts';

type ReceiveRequest = z.output<typeof receiveStartSchema>;

/** A receiver, smos-00, that is the test itself. */
export interface ScriptedReceiver {
  /** The subject of the stream. */
  readonly data: string;
  readonly bus: Bus;
  /** Has smos-01 ask for a transfer. @param discard whether partial state is dropped first */
  ask(zfs: Partial<Zfs>, discard: boolean): ReturnType<typeof askForTransfer>;
}

const transferId = 'transfer1';
const step: Step = { type: 'full', to: { name: 'zones/test@b', guid: '2' }, targetDataset: 'zones/test' };

/** @param answer what the receiver answers to a request to receive, without the transfer's id */
export async function useScriptedReceiver(
  url: string,
  answer: (request: ReceiveRequest) => object,
): Promise<ScriptedReceiver> {
  const bus = await useBus(url);
  const dataConnection = await openDataConnection(bus.options);
  onTestFinished(() => dataConnection.close());
  const served = serve(bus, {
    name: 'recv-start',
    subject: subjects.receiveFrom('smos-00', 'smos-01'),
    request: receiveStartSchema,
    handle: async (request) => ({ transfer: request.transfer, revision: 1, ...answer(request) }),
  });
  onTestFinished(() => served.stop());
  const log = logOf(pino({ enabled: false }));
  return {
    bus,
    data: subjects.data('smos-01', 'smos-00', transferId),
    ask: (zfs, discard) =>
      askForTransfer(
        {
          host: 'smos-01',
          zfs: zfs as Zfs,
          bus,
          dataConnection,
          log,
          clock: systemClock,
          silenceMs: 3000,
          patienceMs: 60_000,
        },
        { transfer: transferId, job: 'jobjobjob1', targetHost: 'smos-00', step, discard },
        { host: 'smos-00' },
      ),
  };
}
