import { Readable } from 'node:stream';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { newSecret, tagText, type Words, wordsOfTarget } from '../../../lib/bus/channel/direct/authentic.ts';
import { headerBytes } from '../../../lib/bus/channel/direct/frame.ts';
import { openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { Zfs, ZfsProcess } from '../../../lib/zfs/zfs.ts';
import type { Step } from '../../../schemas/plan.ts';
import { receiveStartSchema } from '../../../schemas/transfer.ts';
import { logOf } from '../../../services/host/log.ts';
import { askForTransfer } from '../../../services/sender/transfer/direct.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { type BeginRecord, streamBegin } from '../../support/stream-begin.ts';

const natsUrl = useNatsAccounts();
const step: Step = { type: 'full', to: { name: 'zones/test@b', guid: '2' }, target: 'zones/test' };

/** Bytes of the stream that the last receiver was sent. */
let bytes = 0;

/** Runs a transfer to a receiver, which is the test itself, that says it verified this guid. @param made of the stream that `zfs send` makes */
async function ran(guid: string, made: BeginRecord = { toguid: 2n }): Promise<void> {
  const bus = await useBus(natsUrl());
  const dataConnection = await openDataConnection(bus.options);
  onTestFinished(() => dataConnection.close());
  const credit = subjects.credit('smos-01', 'transfer1', 'smos-00');
  const secret = newSecret();
  let words: Words | undefined;
  const say = (word: object) => words && bus.nc.publish(credit, tagText(words.own, JSON.stringify(word)));
  bytes = 0;
  bus.nc.subscribe(subjects.data('smos-01', 'smos-00', 'transfer1'), {
    callback: (_, { data: [type], data }) => {
      if (type === 0) bytes += data.length - headerBytes;
      if (type === 1) say({ type: 'done', guid, bytes });
      else say({ type: 'credit', upTo: 1 << 20 });
    },
  });
  const served = serve(bus, {
    name: 'recv-start',
    subject: subjects.receiveFrom('smos-00', 'smos-01'),
    request: receiveStartSchema,
    handle: async ({ transfer, secret: source }) => {
      words = wordsOfTarget({ source: 'smos-01', target: 'smos-00', transfer }, { source, target: secret });
      return { transfer, secret, window: 1 << 20, revision: 1 };
    },
  });
  onTestFinished(() => served.stop());
  const child: ZfsProcess = Object.assign(Object.create(null), {
    stdout: Readable.from([streamBegin(made), Buffer.alloc(1000, 7)]),
    done: Promise.resolve([]),
    kill: () => true,
  });
  const zfs: Pick<Zfs, 'send'> = { send: () => child };
  const transfer = await askForTransfer(
    {
      host: 'smos-01',
      zfs: zfs as Zfs,
      bus,
      dataConnection,
      log: logOf(pino({ enabled: false })),
      silenceMs: 3000,
      patienceMs: 60_000,
    },
    { transfer: 'transfer1', job: 'jobjobjob1', target: 'smos-00', step, discard: false },
    { host: 'smos-00' },
  );
  return transfer.run();
}

test('I7: a snapshot has arrived when the receiver has verified its guid', async () => {
  await expect(ran('2')).resolves.toBeUndefined();
});

test('I7: a receiver that verified another guid has not received the snapshot', async () => {
  expect(await rejection(ran('3'))).toMatchObject({
    code: 'STREAM_BROKEN',
    message: mentions(3, 2),
  });
});

test.each<[string, BeginRecord, (string | number)[]]>([
  ['of another snapshot', { toguid: 3n }, ['guid 3', 2]],
  ['from a base', { toguid: 2n, fromguid: 1n }, ['guid 1', 0]],
  ['that is raw', { toguid: 2n, bits: [24] }, ['raw']],
  ['with blocks that were not asked for', { toguid: 2n, bits: [22] }, ['compressed']],
])('I7: of a stream %s, where another one was planned, nothing is sent', async (_, made, facts) => {
  expect(await rejection(ran('2', made))).toMatchObject({
    code: 'NO_SUCH_SNAPSHOT',
    message: mentions(...facts),
  });
  expect(bytes).toBe(0);
});
