import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { newSecret } from '../../../lib/bus/channel/direct/authentic.ts';
import { openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { encodeToken, type TokenContents } from '../../../lib/zfs/resume-token.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Step } from '../../../schemas/plan.ts';
import { receiveStartSchema } from '../../../schemas/transfer.ts';
import { logOf } from '../../../services/host/log.ts';
import { askForTransfer } from '../../../services/sender/transfer/direct.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';

const flags = { raw: false, largeBlock: false, embed: false, compressed: false };
const plain = { object: 1n, offset: 0n, bytes: 1n, flags };

const natsUrl = useNatsAccounts();

const step: Step = { type: 'full', to: { name: 'zones/test@b', guid: '2' }, target: 'zones/test' };

/** Asks a receiver, which is the test itself, to drop partial state that the token it answers with tells of. */
async function asked(contents: TokenContents | undefined, window = 1024 * 1024) {
  const bus = await useBus(natsUrl());
  const dataConnection = await openDataConnection(bus.options);
  onTestFinished(() => dataConnection.close());
  const said: (number | undefined)[] = [];
  bus.nc.subscribe('zfs-data.smos-01.smos-00.>', { callback: (_, message) => void said.push(message.data[0]) });
  const served = serve(bus, {
    name: 'recv-start',
    subject: subjects.receiveFrom('smos-00', 'smos-01'),
    request: receiveStartSchema,
    handle: async ({ transfer }) => ({
      transfer,
      window,
      secret: newSecret(),
      revision: 1,
      ...(contents && { resumeToken: encodeToken(contents) }),
    }),
  });
  onTestFinished(() => served.stop());
  const zfs: Pick<Zfs, 'estimate'> = { estimate: async () => 1 };
  const transfer = askForTransfer(
    {
      host: 'smos-01',
      zfs: zfs as Zfs,
      bus,
      dataConnection,
      log: logOf(pino({ enabled: false })),
      silenceMs: 3000,
      patienceMs: 60_000,
    },
    { transfer: 'transfer1', job: 'jobjobjob1', target: 'smos-00', step, discard: true },
    { host: 'smos-00' },
  );
  onTestFinished(() => transfer.then((open) => open.cancel(aborted)).catch(() => {}));
  return { transfer, said };
}

const aborted = { code: 'ABORTED' as const, message: 'the test is over', retryable: false };

test('I5: what is to be dropped is looked at again: another stream may have left it there meanwhile', async () => {
  const { transfer, said } = await asked({ toname: 'zones/other@a', toguid: '9', ...plain });
  expect(await rejection(transfer)).toMatchObject({
    code: 'EXISTS',
    message: mentions('zones/other@a'),
  });
  // nothing but pings and the abort: no frame that would begin the stream, and with it the drop
  await expect.poll(() => said).toContain(2);
  expect(said.filter((type) => type !== 3 && type !== 2)).toEqual([]);
});

test.each([
  ['of the same dataset', { toname: 'zones/test@a', toguid: '1', ...plain }],
  ['of the very step, which could not be continued', { toname: 'zones/test@b', toguid: '2', ...plain }],
  ['gone meanwhile', undefined],
])('partial state that is %s is dropped, and the step begins anew', async (_, contents) => {
  const { transfer } = await asked(contents);
  expect(await transfer).toMatchObject({ stalePartial: false, resumedAt: 0 });
});

test('I8: a receiver cannot make a sender keep more in memory than any window needs', async () => {
  for (const window of [0, 17 * 1024 * 1024]) {
    expect(await rejection((await asked(undefined, window)).transfer)).toMatchObject({
      code: 'INTERNAL',
      message: mentions('window'),
    });
  }
});
