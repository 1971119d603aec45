import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import {
  type Authentication,
  authenticationOfTarget,
  newSecret,
  tagText,
} from '../../../lib/bus/channel/direct/authentic.ts';
import { headerBytes } from '../../../lib/bus/channel/direct/frame.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { ZfsProcess } from '../../../lib/zfs/zfs.ts';
import { rejection } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { useScriptedReceiver } from '../../support/scripted-receiver.ts';
import { type BeginRecord, streamBegin } from '../../support/stream-begin.ts';

const natsUrl = useNatsAccounts();

/** Bytes of the stream that the last receiver was sent. */
let bytes = 0;

/** Runs a transfer to a receiver that reports this guid as verified. @param begin of the stream that `zfs send` makes */
async function transfer(guid: string, begin: BeginRecord = { toguid: 2n }): Promise<void> {
  const secret = newSecret();
  let words: Authentication | undefined;
  const receiver = await useScriptedReceiver(natsUrl(), (request) => {
    const secrets = { source: request.secret, target: secret };
    words = authenticationOfTarget({ source: 'smos-01', target: 'smos-00', transfer: request.transfer }, secrets);
    return { secret, window: 1 << 20 };
  });
  const { nc } = receiver.bus;
  const credit = subjects.credit('smos-01', 'transfer1', 'smos-00');
  const publish = (word: object) => words && nc.publish(credit, tagText(words.own, JSON.stringify(word)));
  bytes = 0;
  nc.subscribe(receiver.data, {
    callback: (_, { data: [type], data }) => {
      if (type === 0) bytes += data.length - headerBytes;
      if (type === 1) publish({ type: 'done', guid, bytes });
      else publish({ type: 'credit', upTo: 1 << 20 });
    },
  });
  const child: ZfsProcess = Object.assign(Object.create(null), {
    stdout: Readable.from([streamBegin(begin), Buffer.alloc(1000, 7)]),
    done: Promise.resolve([]),
    kill: () => true,
  });
  return (await receiver.ask({ send: () => child }, false)).run();
}

test('I7: a snapshot has arrived when the receiver has verified its guid', async () => {
  await expect(transfer('2')).resolves.toBeUndefined();
});

test('I7: a receiver that verified another guid has not received the snapshot', async () => {
  expect(await rejection(transfer('3'))).toMatchObject({
    code: 'STREAM_BROKEN',
    message: mentions(3, 2),
  });
});

test.each<[string, BeginRecord, (string | number)[]]>([
  ['of another snapshot', { toguid: 3n }, ['guid 3', 2]],
  ['from a base', { toguid: 2n, fromguid: 1n }, ['guid 1', 0]],
  ['that is raw', { toguid: 2n, bits: [24] }, ['raw']],
  ['with blocks that were not asked for', { toguid: 2n, bits: [22] }, ['compressed']],
])('I7: of a stream %s, where another one was planned, nothing is sent', async (_, begin, facts) => {
  expect(await rejection(transfer('2', begin))).toMatchObject({
    code: 'NO_SUCH_SNAPSHOT',
    message: mentions(...facts),
  });
  expect(bytes).toBe(0);
});
