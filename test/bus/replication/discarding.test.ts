import { expect, onTestFinished, test } from 'vitest';
import { newSecret } from '../../../lib/bus/channel/direct/authentic.ts';
import { encodeToken, type TokenContents } from '../../../lib/zfs/resume-token.ts';
import { rejection } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { useScriptedReceiver } from '../../support/scripted-receiver.ts';

const flags = { raw: false, largeBlock: false, embed: false, compressed: false };
const plain = { object: 1n, offset: 0n, bytes: 1n, flags };

const natsUrl = useNatsAccounts();

const aborted = { code: 'ABORTED' as const, message: 'the test is over', retryable: false };

/** Asks a receiver to drop the partial state that its token describes. */
async function ask(contents: TokenContents | undefined, window = 1024 * 1024) {
  const receiver = await useScriptedReceiver(natsUrl(), () => ({
    window,
    secret: newSecret(),
    ...(contents && { resumeToken: encodeToken(contents) }),
  }));
  /** The type of each frame. */
  const frames: (number | undefined)[] = [];
  receiver.bus.nc.subscribe(receiver.data, { callback: (_, message) => void frames.push(message.data[0]) });
  const transfer = receiver.ask({ estimate: async () => 1 }, true);
  onTestFinished(() => transfer.then((open) => open.cancel(aborted)).catch(() => {}));
  return { transfer, frames };
}

test('I5: partial state is inspected again before it is dropped: another stream may have left it meanwhile', async () => {
  const { transfer, frames } = await ask({ toname: 'zones/other@a', toguid: '9', ...plain });
  expect(await rejection(transfer)).toMatchObject({
    code: 'EXISTS',
    message: mentions('zones/other@a'),
  });
  // nothing but pings and the abort: no frame that would begin the stream, and with it the drop
  await expect.poll(() => frames).toContain(2);
  expect(frames.filter((type) => type !== 3 && type !== 2)).toEqual([]);
});

test.each([
  ['of the same dataset', { toname: 'zones/test@a', toguid: '1', ...plain }],
  ['of the very step, which could not be continued', { toname: 'zones/test@b', toguid: '2', ...plain }],
  ['gone meanwhile', undefined],
])('partial state that is %s is dropped, and the step starts again', async (_, contents) => {
  const { transfer } = await ask(contents);
  expect(await transfer).toMatchObject({ stalePartial: false, resumedAt: 0 });
});

test('I8: a receiver cannot make a sender keep more in memory than any window needs', async () => {
  for (const window of [0, 17 * 1024 * 1024]) {
    expect(await rejection((await ask(undefined, window)).transfer)).toMatchObject({
      code: 'INTERNAL',
      message: mentions('window'),
    });
  }
});
