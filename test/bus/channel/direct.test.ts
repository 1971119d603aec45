import { PassThrough, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, headers } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChannelSender } from '../../../lib/bus/channel/channel.ts';
import {
  authenticationOfSource,
  authenticationOfTarget,
  newSecret,
  tagText,
} from '../../../lib/bus/channel/direct/authentic.ts';
import { broadcast } from '../../../lib/bus/channel/direct/broadcast.ts';
import { controlFrame, headerBytes, readHeader, writeHeader } from '../../../lib/bus/channel/direct/frame.ts';
import { type DirectReceiver, openDirectReceiver } from '../../../lib/bus/channel/direct/receiver.ts';
import { openDirectSender } from '../../../lib/bus/channel/direct/sender.ts';
import type { RateLimit } from '../../../lib/bus/channel/rate-limit.ts';
import { type DataConnection, openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { rejection } from '../../support/bus.ts';
import { useNatsServer } from '../../support/nats-server.ts';

const server = useNatsServer({});
const dataSubject = 'zfs-data.a.b.t1';
const creditSubject = 'zfs-credit.a.t1.b';
const window = 256 * 1024;
const silenceMs = 2000;
const patienceMs = 60_000;
const secrets = { source: newSecret(), target: newSecret() };
/** Both ends of one transfer; each opened end counts its control messages from zero. */
const name = { source: 'a', target: 'b', transfer: 't1' };
const sourceAuthentication = () => authenticationOfSource(name, secrets);
const targetAuthentication = () => authenticationOfTarget(name, secrets);

async function dataConnection(url = server().url): Promise<DataConnection> {
  const connection = await openDataConnection({ servers: url, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  onTestFinished(() => connection.close());
  return connection;
}

interface ReceiverEnd {
  receiver: DirectReceiver;
  bytes: Buffer[];
  began: number;
  total: number | undefined;
  broken: ErrorBody | undefined;
  /** Resolves at the end or when it broke. */
  over: Promise<void>;
}

/** A receiver that hands everything to `sink`, by default into memory, and reports "done" when the sink has it. */
async function receiver(sink?: Writable, connection?: DataConnection, rateLimit?: RateLimit): Promise<ReceiverEnd> {
  const over = Promise.withResolvers<void>();
  const bytes: Buffer[] = [];
  const into =
    sink ??
    new Writable({
      write(chunk: Buffer, _encoding, callback) {
        bytes.push(Buffer.from(chunk));
        setImmediate(callback);
      },
    });
  const direct = openDirectReceiver(connection ?? (await dataConnection()), {
    dataSubject,
    creditSubject,
    authentication: targetAuthentication(),
    window,
    silenceMs,
    rateLimit,
    onFirstFrame() {
      seen.began += 1;
      direct.attach(into);
    },
    onEnd(total) {
      seen.total = total;
      into.once('finish', () => {
        direct.done({ guid: '42' });
        over.resolve();
      });
      direct.finishInput();
    },
    onBroken(error) {
      seen.broken = error;
      direct.failed(error);
      over.resolve();
    },
  });
  const seen: ReceiverEnd = {
    receiver: direct,
    bytes,
    began: 0,
    total: undefined,
    broken: undefined,
    over: over.promise,
  };
  onTestFinished(() => direct.close());
  return seen;
}

interface PumpingSender extends ChannelSender {
  /** Pours a stream into this one alone. */
  pump(source: Readable): Promise<void>;
}

async function sender(
  connection?: DataConnection,
  more: { rateLimit?: RateLimit | undefined; patienceMs?: number } = {},
): Promise<PumpingSender> {
  const from = connection ?? (await dataConnection());
  const authentication = sourceAuthentication();
  const direct = openDirectSender(from, {
    dataSubject,
    creditSubject,
    authentication,
    window,
    silenceMs,
    patienceMs,
    ...more,
  });
  onTestFinished(() => direct.close());
  const options = { subject: dataSubject, subscribers: [direct] };
  return Object.assign(direct, { pump: (source: Readable) => broadcast(from, options, source) });
}

/** Lets pass what it is given. */
function rateLimitByHand() {
  let tokens = 0;
  const waiting = new Set<() => void>();
  const rateLimit: RateLimit = {
    room: () => tokens,
    take(bytes) {
      tokens -= bytes;
    },
    onRoom(wake) {
      waiting.add(wake);
      return () => void waiting.delete(wake);
    },
  };
  const give = (bytes: number): void => {
    tokens += bytes;
    for (const wake of [...waiting]) wake();
  };
  return { rateLimit, give, waiting };
}

async function sendWithHeaders(frame: Buffer): Promise<void> {
  const nc = await connect({ servers: server().url });
  onTestFinished(() => nc.close());
  const carried = headers();
  carried.set('a', 'b');
  nc.publish(dataSubject, frame, { headers: carried });
  await nc.flush();
}

/** Frames made by hand, for what no sender of ours sends; words with their authenticator. */
async function rawSender(): Promise<(frame: Buffer, subject?: string) => Promise<void>> {
  const nc = await connect({ servers: server().url });
  onTestFinished(() => nc.close());
  const { own } = sourceAuthentication();
  return async (frame, subject = dataSubject) => {
    nc.publish(subject, frame[0] === 0 ? frame : own.tag(frame));
    await nc.flush();
  };
}

function data(offset: number, length: number): Buffer {
  const frame = Buffer.alloc(headerBytes + length);
  writeHeader(frame, 0, 'data', offset);
  return frame;
}

const pattern = Buffer.from(Uint8Array.from({ length: 65_521 }, (_, at) => (at * 7 + at / 251) & 255));
/** Bytes that show their offset in the stream, nearly. */
const patterned = (length: number): Buffer => Buffer.alloc(length, pattern);

/** Resolves when the receiver's subscription is known to the server. */
async function listening(seen: ReceiverEnd, send: (frame: Buffer) => Promise<void>): Promise<void> {
  await expect
    .poll(async () => {
      await send(controlFrame('ping', 0));
      return seen.receiver.progress;
    })
    .toBeGreaterThan(0);
}

describe('a whole stream', () => {
  test.each([
    ['of many windows', 3_000_000],
    ['of one byte', 1],
    ['of nothing', 0],
  ])('%s arrives as it was sent, and the sender gets the final message', async (_what, length) => {
    const seen = await receiver();
    const direct = await sender();
    const stream = patterned(length);
    const chunks = Array.from({ length: Math.ceil(length / 50_000) }, (_, at) =>
      stream.subarray(at * 50_000, (at + 1) * 50_000),
    );
    await direct.pump(Readable.from(chunks, { objectMode: false }));
    expect(direct.sent).toBe(length);
    direct.end();
    expect(await direct.final).toEqual({ type: 'done', guid: '42', bytes: length });
    expect(Buffer.concat(seen.bytes).equals(stream)).toBe(true);
    expect(seen).toMatchObject({ began: 1, total: length, broken: undefined });
  });

  test('waits for a receiver that subscribes late, and loses nothing', async () => {
    const direct = await sender();
    const pumped = direct.pump(Readable.from([Buffer.from('early')]));
    expect(direct.sent).toBe(0);
    const seen = await receiver();
    await pumped;
    direct.end();
    await seen.over;
    expect(Buffer.concat(seen.bytes).toString()).toBe('early');
  });

  test('many at once share a connection', async () => {
    const [from, to] = [await dataConnection(), await dataConnection()];
    const transfers = Array.from({ length: 5 }, (_, at) => ({
      dataSubject: `zfs-data.a.b.many${at}`,
      creditSubject: `zfs-credit.a.many${at}.b`,
      window,
      silenceMs,
      patienceMs,
    }));
    const sums = transfers.map((subjects) => {
      const sink = new PassThrough();
      let sum = 0;
      sink.on('data', (chunk: Buffer) => {
        sum += chunk.length;
      });
      const direct: DirectReceiver = openDirectReceiver(to, {
        ...subjects,
        authentication: targetAuthentication(),
        onFirstFrame: () => direct.attach(sink),
        onEnd: () => sink.once('finish', () => direct.done({ guid: '1' })) && direct.finishInput(),
        onBroken: (error) => direct.failed(error),
      });
      onTestFinished(() => direct.close());
      return () => sum;
    });
    const finals = await Promise.all(
      transfers.map(async (subjects) => {
        const direct = openDirectSender(from, { ...subjects, authentication: sourceAuthentication() });
        const options = { subject: subjects.dataSubject, subscribers: [direct] };
        await broadcast(from, options, Readable.from([patterned(1_000_000)], { objectMode: false }));
        direct.end();
        return direct.final;
      }),
    );
    expect(finals.map(({ type }) => type)).toEqual(Array(5).fill('done'));
    expect(sums.map((sum) => sum())).toEqual(Array(5).fill(1_000_000));
  });
});

describe('a receiver that answers and takes nothing', () => {
  /** Publishes a control message often, as a living receiver does. */
  async function chatter(word: (n: number) => object): Promise<void> {
    const nc = await connect({ servers: server().url });
    let n = 0;
    const { own } = targetAuthentication();
    const timer = setInterval(() => nc.publish(creditSubject, tagText(own, JSON.stringify(word(n++)))), 50);
    onTestFinished(() => {
      clearInterval(timer);
      return nc.close();
    });
  }
  const impatient = () => sender(undefined, { patienceMs: 500 });
  const takesNothing = (seconds: number) => ({
    code: 'TIMEOUT',
    retryable: true,
    details: { takes: 'nothing', seconds },
  });

  test.each<[string, number, (n: number) => object]>([
    ['grants the same again and again', 0.5, () => ({ type: 'credit', upTo: window + 20_000 })],
    ['grants byte by byte', 0.5, (n) => ({ type: 'credit', upTo: window + 20_000 + n })],
    ['has taken nothing yet', 5, () => ({ type: 'credit', upTo: window })],
    ['grants nothing at all', 5, () => ({ type: 'credit', upTo: 0 })],
  ])('is given up, though it %s, after %d s', async (_how, seconds, word) => {
    await chatter(word);
    const direct = await impatient();
    const error = await rejection(direct.pump(Readable.from([patterned(1_000_000)], { objectMode: false })));
    expect(error.toBody()).toMatchObject(takesNothing(seconds));
    expect(await direct.final).toMatchObject({ type: 'failed', error: takesNothing(seconds) });
  });

  test('is waited for while it prepares for several times the patience, and then takes all', async () => {
    await chatter((n) => ({ type: 'credit', upTo: n < 40 ? window : 2_000_000 }));
    const direct = await impatient();
    const began = performance.now();
    await direct.pump(Readable.from([patterned(1_000_000)], { objectMode: false }));
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect([direct.sent, direct.over]).toEqual([1_000_000, undefined]);
  });

  test.each<[string, (n: number) => object]>([
    ['grants no more', () => ({ type: 'credit', upTo: window })],
    ['grants more and more of what never comes', (n) => ({ type: 'credit', upTo: (n + 1) * window })],
  ])('is given up after the end, too, ten times as late, though it %s', async (_how, word) => {
    await chatter(word);
    const direct = await impatient();
    await direct.pump(Readable.from([patterned(1000)], { objectMode: false }));
    direct.end();
    const began = performance.now();
    expect(await direct.final).toMatchObject({ type: 'failed', error: takesNothing(5) });
    expect(performance.now() - began).toBeGreaterThan(4000);
  });

  test('is waited for while it takes slowly, and while nothing waits for it', async () => {
    const pending: (() => void)[] = [];
    const sink = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, callback) => void pending.push(callback),
    });
    const timer = setInterval(() => pending.shift()?.(), 20);
    onTestFinished(() => clearInterval(timer));
    await receiver(sink);
    const direct = await impatient();
    await direct.pump(Readable.from([patterned(6 * window)], { objectMode: false }));
    await expect.poll(() => direct.consumed, { timeout: 20_000 }).toBe(6 * window);
    // it sends heartbeats for longer than the patience
    const nc = await connect({ servers: server().url });
    onTestFinished(() => nc.close());
    const words: unknown[] = [];
    nc.subscribe(creditSubject, { callback: (_error, message) => void words.push(message) });
    await expect.poll(() => words.length, { timeout: 10_000 }).toBeGreaterThan(5);
    expect(direct.over).toBeUndefined();
    direct.end();
    expect(await direct.final).toMatchObject({ type: 'done' });
  });
});

describe('I7: no end without end()', () => {
  test('a source that is read to its end does not end the stream', async () => {
    const seen = await receiver();
    const direct = await sender();
    await direct.pump(Readable.from([Buffer.alloc(1000)]));
    await expect.poll(() => seen.receiver.consumed).toBe(1000);
    expect(seen.total).toBeUndefined();
    direct.abort({ code: 'INTERNAL', message: 'zfs send failed', retryable: false });
    await seen.over;
    expect(seen).toMatchObject({ total: undefined, broken: { code: 'INTERNAL', message: 'zfs send failed' } });
    direct.end();
    expect(await direct.final).toMatchObject({ type: 'failed', error: { message: 'zfs send failed' } });
  });

  test('no end is ever published after an abort', async () => {
    const nc = await connect({ servers: server().url });
    onTestFinished(() => nc.close());
    const types: unknown[] = [];
    nc.subscribe(dataSubject, {
      callback: (_error, message) => void types.push(readHeader(Buffer.from(message.data))?.type),
    });
    await nc.flush();
    const direct = await sender();
    direct.abort({ code: 'INTERNAL', message: 'zfs send failed', retryable: false });
    direct.end();
    const marker = await rawSender();
    await expect
      .poll(async () => {
        await marker(data(0, 1));
        return types;
      })
      .toContain('data');
    expect(types).toContain('abort');
    expect(types).not.toContain('end');
  });

  test('a source that breaks off fails the pump', async () => {
    await receiver();
    const direct = await sender();
    const source = new PassThrough();
    source.write(Buffer.alloc(10));
    const pumped = direct.pump(source);
    source.destroy();
    await expect(pumped).rejects.toMatchObject({ code: 'STREAM_BROKEN' });
  });

  test('a sender that goes silent breaks the stream', async () => {
    const seen = await receiver();
    const send = await rawSender();
    await listening(seen, send);
    await send(data(0, 10));
    await seen.over;
    expect(seen.broken).toMatchObject({ code: 'STREAM_BROKEN', retryable: true, details: { reason: 'silent' } });
  });
});

test('I8: a sink that takes nothing stops the producer within a window, and nothing is dropped when it continues', async () => {
  const kept: Array<() => void> = [];
  let stalled = true;
  let taken = 0;
  const sink = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, callback) {
      taken += chunk.length;
      if (stalled) kept.push(callback);
      else callback();
    },
  });
  const seen = await receiver(sink);
  const direct = await sender();
  let produced = 0;
  const source = Readable.from(
    (function* () {
      for (; produced < 40 * window; produced += 16_384) yield Buffer.alloc(16_384);
    })(),
    { objectMode: false },
  );
  const pumped = direct.pump(source);
  await expect.poll(() => direct.sent).toBe(window);
  // nothing more may be sent for longer than any silence
  await sleep(silenceMs + 500);
  expect(direct.sent).toBe(window);
  expect(produced).toBeLessThan(2 * window);
  stalled = false;
  for (const go of kept) go();
  await pumped;
  direct.end();
  expect(await direct.final).toMatchObject({ type: 'done', bytes: produced });
  expect([taken, seen.broken]).toEqual([produced, undefined]);
});

describe('frames that break the rules end the transfer, and it alone', () => {
  test.each([
    ['a wrong offset', [data(0, 10), data(11, 10)], 'gap'],
    ['beyond the credit', [data(0, window), data(window, 1)], 'beyond-credit'],
    ['after the end', [data(0, 10), controlFrame('end', 10), data(10, 10)], 'after-end'],
    ['an end with another total', [data(0, 10), controlFrame('end', 11)], 'total-mismatch'],
    ['an abort that is no error', [controlFrame('abort', 0, '{"code":"?"}')], 'unreadable'],
  ])('%s', async (_what, frames, reason) => {
    const stuck = new Writable({ write: () => {} });
    const connection = await dataConnection();
    const seen = await receiver(stuck, connection);
    const send = await rawSender();
    await listening(seen, send);
    for (const frame of frames) await send(frame);
    await expect.poll(() => seen.broken).toMatchObject({ code: 'STREAM_BROKEN', details: { reason } });
    seen.receiver.close();
    // the connection still serves
    const next = await receiver(undefined, connection);
    await listening(next, send);
    await send(data(0, 3));
    await send(controlFrame('end', 3));
    await next.over;
    expect(next.total).toBe(3);
  });

  test('a receiver sends heartbeats until its final message, however long zfs receive takes to end', async () => {
    const broken = Promise.withResolvers<ErrorBody>();
    const direct = openDirectReceiver(await dataConnection(), {
      dataSubject,
      creditSubject,
      authentication: targetAuthentication(),
      window,
      silenceMs,
      onFirstFrame: () => {},
      onEnd: () => {},
      onBroken: broken.resolve,
    });
    onTestFinished(() => direct.close());
    const sending = await sender();
    const send = await rawSender();
    await expect.poll(() => direct.progress).toBeGreaterThan(0);
    await send(data(1, 10));
    const error = await broken.promise;
    // zfs receive ends later than a silent receiver would be given up
    await sleep(1.5 * silenceMs);
    direct.failed(error);
    expect(await sending.final).toEqual({ type: 'failed', error });
  });

  test('what a callback throws does not stop the connection', async () => {
    const connection = await dataConnection();
    const broken = Promise.withResolvers<ErrorBody>();
    const direct = openDirectReceiver(connection, {
      dataSubject,
      creditSubject,
      authentication: targetAuthentication(),
      window,
      silenceMs,
      onFirstFrame() {
        throw new Error('a mistake');
      },
      onEnd() {},
      onBroken: broken.resolve,
    });
    const send = await rawSender();
    await expect
      .poll(async () => {
        await send(controlFrame('ping', 0));
        return direct.progress;
      })
      .toBeGreaterThan(0);
    await send(data(0, 3));
    expect(await broken.promise).toMatchObject({ code: 'INTERNAL', message: 'a mistake' });
    direct.close();
    expect(connection.connected).toBe(true);
  });

  test('a ping does not begin the stream, and frames with headers or for another transfer are ignored', async () => {
    const seen = await receiver();
    const send = await rawSender();
    await listening(seen, send);
    await send(data(0, 10), 'zfs-data.a.b.t2');
    await sendWithHeaders(data(0, 10));
    await expect.poll(() => seen.receiver.unexpected).toBe(1);
    expect(seen).toMatchObject({ began: 0, broken: undefined });
  });
});

describe('a lost connection', () => {
  test('fails both ends at once, and the next transfer uses the connection again', async () => {
    const [from, to] = [await dataConnection(), await dataConnection()];
    const seen = await receiver(new Writable({ write: () => {} }), to);
    const direct = await sender(from);
    const pumped = direct.pump(Readable.from([Buffer.alloc(2 * window)])).catch((error) => error);
    await expect.poll(() => direct.sent).toBe(window);
    await server().restart();
    expect(await direct.final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN', retryable: true } });
    expect(await pumped).toMatchObject({ code: 'STREAM_BROKEN' });
    await seen.over;
    expect(seen.broken).toMatchObject({ code: 'STREAM_BROKEN' });
    seen.receiver.close();
    direct.close();

    await expect.poll(() => from.connected && to.connected, { timeout: 10_000 }).toBe(true);
    const again = await receiver(undefined, to);
    const second = await sender(from);
    await second.pump(Readable.from([Buffer.alloc(10)]));
    second.end();
    expect(await second.final).toMatchObject({ type: 'done', bytes: 10 });
    expect(again.total).toBe(10);
  });

  test('is found by the next dial even where another connection of the process was made since', async () => {
    const from = await dataConnection();
    const other = await connect({ servers: server().url });
    onTestFinished(() => other.close());
    await server().restart();
    await expect.poll(() => from.connected, { timeout: 10_000 }).toBe(true);
  });
});

test('a receiver that is not there is a TIMEOUT', async () => {
  const direct = await sender();
  expect(await direct.final).toMatchObject({ type: 'failed', error: { code: 'TIMEOUT' } });
});

test('a final message that does not fit what was sent is not believed', async () => {
  const nc = await connect({ servers: server().url });
  onTestFinished(() => nc.close());
  const probed = Promise.withResolvers<void>();
  nc.subscribe(dataSubject, { callback: () => probed.resolve() });
  await nc.flush();
  const direct = await sender();
  await probed.promise;
  // a sender knocks past the client's buffer, where its subscription may still be
  const { own } = targetAuthentication();
  const saying = setInterval(() => {
    nc.publish(creditSubject, tagText(own, 'no JSON'));
    nc.publish(creditSubject, tagText(own, JSON.stringify({ type: 'done', guid: '1', bytes: 0 })));
  }, 50);
  onTestFinished(() => clearInterval(saying));
  expect(await direct.final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN' } });
});

test.each([999, 1001])('a final message of %i bytes after the end of 1000 is not believed', async (bytes) => {
  const nc = await connect({ servers: server().url });
  onTestFinished(() => nc.close());
  const { own } = targetAuthentication();
  const publish = (word: object): void => nc.publish(creditSubject, tagText(own, JSON.stringify(word)));
  nc.subscribe(dataSubject, {
    callback: (_error, message) => {
      const isEnd = readHeader(Buffer.from(message.data))?.type === 'end';
      publish(isEnd ? { type: 'done', guid: '1', bytes } : { type: 'credit', upTo: window });
    },
  });
  await nc.flush();
  const direct = await sender();
  await direct.pump(Readable.from([patterned(1000)], { objectMode: false }));
  direct.end();
  const message = `the receiver's final message does not fit what was sent: ${bytes} bytes done, 1000 sent`;
  expect(await direct.final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN', message } });
});

describe('a rate limit', () => {
  const stream = Buffer.alloc(400_000, 7);

  test.each(['sender', 'receiver'] as const)(
    'of the %s lets no more bytes pass than it has room for',
    async (whose) => {
      const { rateLimit, give, waiting } = rateLimitByHand();
      const seen = await receiver(undefined, undefined, whose === 'receiver' ? rateLimit : undefined);
      const from = await sender(undefined, whose === 'sender' ? { rateLimit } : {});
      const pumped = from.pump(Readable.from([stream]));
      for (const upTo of [1000, 150_000]) {
        give(upTo - from.sent);
        await expect.poll(() => seen.receiver.received).toBe(upTo);
        // time enough for bytes beyond the limit
        await sleep(100);
        expect([from.sent, seen.receiver.received]).toEqual([upTo, upTo]);
      }
      give(stream.length);
      await pumped;
      from.end();
      await seen.over;
      expect(Buffer.concat(seen.bytes).equals(stream)).toBe(true);
      expect((await from.final).type).toBe('done');
      seen.receiver.close();
      expect(waiting.size, 'no end waits for it any more').toBe(0);
    },
  );
});
