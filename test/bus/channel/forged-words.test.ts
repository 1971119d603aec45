import { Readable, Writable } from 'node:stream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  newSecret,
  type TransferSecrets,
  tagText,
  trailerBytes,
  wordsOfSource,
  wordsOfTarget,
} from '../../../lib/bus/channel/direct/authentic.ts';
import { broadcast } from '../../../lib/bus/channel/direct/broadcast.ts';
import { controlFrame } from '../../../lib/bus/channel/direct/frame.ts';
import { type DirectReceiver, openDirectReceiver } from '../../../lib/bus/channel/direct/receiver.ts';
import { type DirectSender, openDirectSender } from '../../../lib/bus/channel/direct/sender.ts';
import { type DataConnection, openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { useNatsServer } from '../../support/nats-server.ts';
import { data } from '../../support/scripted-sender.ts';

// whoever publishes here may publish on the very subjects, and knows all of a transfer but its secrets

const server = useNatsServer({});
const window = 64 * 1024;
const silenceMs = 1500;
const patienceMs = 60_000;
const noSpace: ErrorBody = { code: 'NO_SPACE', message: 'forged', retryable: false };
/** A stream of several windows. */
const stream = Buffer.alloc(5 * window, 'zfs');

interface Ends {
  readonly transfer: string;
  readonly secrets: TransferSecrets;
  readonly dataSubject: string;
  readonly creditSubject: string;
}

let transfers = 0;
function ends(target = 'b'): Ends {
  transfers += 1;
  const transfer = `transfer${transfers}`;
  return {
    transfer,
    secrets: { source: newSecret(), target: newSecret() },
    dataSubject: `zfs-data.a.${target}.${transfer}`,
    creditSubject: `zfs-credit.a.${transfer}.${target}`,
  };
}
const nameOf = ({ transfer }: Ends) => ({ source: 'a', target: 'b', transfer });

async function dataConnection(): Promise<DataConnection> {
  const connection = await openDataConnection({ servers: server().url, reconnectTimeWait: 50 });
  onTestFinished(() => connection.close());
  return connection;
}

interface Third {
  readonly nc: NatsConnection;
  /** Publishes, and resolves when the server has it. */
  publish(subject: string, ...messages: (Buffer | string)[]): Promise<void>;
  /** What is published on a subject, in order. */
  record(subject: string): Promise<Buffer[]>;
}

async function third(): Promise<Third> {
  const nc = await connect({ servers: server().url });
  onTestFinished(() => nc.close());
  return {
    nc,
    async publish(subject, ...messages) {
      for (const message of messages) nc.publish(subject, message);
      await nc.flush();
    },
    async record(subject) {
      const seen: Buffer[] = [];
      nc.subscribe(subject, { callback: (_, message) => void seen.push(Buffer.from(message.data)) });
      await nc.flush();
      return seen;
    },
  };
}

interface Target {
  readonly direct: DirectReceiver;
  /** What reached `zfs receive`. */
  readonly taken: Buffer[];
  began: number;
  broken: ErrorBody | undefined;
  forged: number;
  /** Lets `zfs receive` take what comes. */
  go(): void;
}

/** @param isHeld `zfs receive` takes nothing until it is let go */
async function target(of: Ends, isHeld = false, sharedSubject?: string): Promise<Target> {
  const taken: Buffer[] = [];
  const gate = Promise.withResolvers<void>();
  if (!isHeld) gate.resolve();
  const sink = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      taken.push(Buffer.from(chunk));
      void gate.promise.then(() => callback());
    },
  });
  const connection = await dataConnection();
  const direct = openDirectReceiver(connection, {
    ...of,
    ...{ sharedSubject, window, silenceMs, words: wordsOfTarget(nameOf(of), of.secrets) },
    onForged() {
      seen.forged += 1;
    },
    onFirstFrame() {
      seen.began += 1;
      direct.attach(sink);
    },
    onEnd() {
      sink.once('finish', () => direct.done({ guid: '42' }));
      direct.finishInput();
    },
    onBroken(error) {
      seen.broken = error;
      direct.failed(error);
    },
  });
  onTestFinished(() => direct.close());
  const seen: Target = { direct, taken, began: 0, broken: undefined, forged: 0, go: gate.resolve };
  await connection.nc.flush();
  return seen;
}

interface Source {
  readonly direct: DirectSender;
  forged: number;
  /** Sends the whole stream and says its end. */
  send(): Promise<void>;
}

async function source(of: Ends): Promise<Source> {
  const from = await dataConnection();
  const direct = openDirectSender(from, {
    ...of,
    ...{ window, silenceMs, patienceMs, words: wordsOfSource(nameOf(of), of.secrets) },
    onForged() {
      seen.forged += 1;
    },
  });
  onTestFinished(() => direct.close());
  const seen: Source = {
    direct,
    forged: 0,
    async send() {
      await broadcast(
        from,
        { subject: of.dataSubject, subscribers: [direct] },
        Readable.from([stream], { objectMode: false }),
      );
      direct.end();
    },
  };
  await from.nc.flush();
  return seen;
}

const flipped = (word: Buffer, at: number): Buffer => {
  const other = Buffer.from(word);
  other.writeUInt8(other.readUInt8(at) ^ 1, at);
  return other;
};

/** A word of text as a third party can make it: bare, with a made-up trailer, by another transfer's secrets, in the source's own name, a bit flipped. */
function forgeries(of: Ends, word: object): string[] {
  const text = JSON.stringify(word);
  const other = wordsOfTarget(nameOf(of), ends().secrets);
  const right = tagText(wordsOfTarget(nameOf(of), of.secrets).own, text);
  return [
    text,
    `${text}\n${Buffer.alloc(trailerBytes, 1).toString('base64url')}`,
    tagText(other.own, text),
    tagText(wordsOfSource(nameOf(of), of.secrets).own, text),
    tagText(wordsOfTarget({ ...nameOf(of), transfer: 'another1' }, of.secrets).own, text),
    // a bit flipped, in the tag and in the word
    `${right.slice(0, -1)}${right.endsWith('A') ? 'B' : 'A'}`,
    right.replace(/:([0-9])/, ':1$1').replace('failed', 'failes'),
  ];
}

/** The same of a frame. */
function forgedFrames(of: Ends, frame: Buffer): Buffer[] {
  const right = wordsOfSource(nameOf(of), of.secrets).own.tag(frame);
  return [
    frame,
    Buffer.concat([frame, Buffer.alloc(trailerBytes, 1)]),
    wordsOfSource(nameOf(of), ends().secrets).own.tag(frame),
    wordsOfTarget(nameOf(of), of.secrets).own.tag(frame),
    wordsOfSource({ ...nameOf(of), transfer: 'another1' }, of.secrets).own.tag(frame),
    ...[1, 8, right.length - trailerBytes, right.length - 1].map((at) => flipped(right, at)),
    frame.subarray(0, 5),
    Buffer.alloc(0),
    Buffer.from([9, ...frame.subarray(1)]),
  ];
}

describe('what a third party says in the name of the receiver', () => {
  test('neither ends a transfer nor grants anything, and the true word does', async () => {
    const of = ends();
    const enemy = await third();
    const from = await source(of);
    const words = [
      { type: 'done', guid: '42', bytes: stream.length },
      { type: 'failed', error: noSpace },
      { type: 'credit', upTo: 1 << 30 },
    ].flatMap((word) => forgeries(of, word));
    // before the receiver has granted anything, in the middle, and at the end
    await enemy.publish(of.creditSubject, ...words);
    await expect.poll(() => from.direct.forged).toBe(words.length);
    expect([from.forged, from.direct.room, from.direct.over]).toEqual([1, 0, undefined]);
    const to = await target(of, true);
    const sending = from.send();
    await expect.poll(() => from.direct.sent).toBe(window);
    await enemy.publish(of.creditSubject, ...words);
    await expect.poll(() => from.direct.forged).toBe(2 * words.length);
    to.go();
    await sending;
    await enemy.publish(of.creditSubject, ...words);
    expect(await from.direct.final).toEqual({ type: 'done', guid: '42', bytes: stream.length });
    expect(Buffer.concat(to.taken).equals(stream)).toBe(true);
    // it is told once
    expect([from.forged, to.broken, to.forged]).toEqual([1, undefined, 0]);
  });

  test('does not keep a transfer whose receiver is gone', async () => {
    const of = ends();
    const enemy = await third();
    const to = await target(of, true);
    const from = await source(of);
    const recorded = await enemy.record(of.creditSubject);
    const sending = from.send().catch((error) => error);
    await expect.poll(() => from.direct.sent).toBe(window);
    to.direct.close();
    const words = [...forgeries(of, { type: 'credit', upTo: 2 * window }), ...recorded];
    const speaking = setInterval(() => void enemy.publish(of.creditSubject, ...words), 100);
    onTestFinished(() => clearInterval(speaking));
    expect(await from.direct.final).toMatchObject({
      type: 'failed',
      error: { code: 'TIMEOUT', details: { reason: 'silent' } },
    });
    expect(await sending).toMatchObject({ code: 'TIMEOUT' });
    expect(from.direct.sent).toBe(window);
  });

  test('is not done either with the words of an earlier transfer, or the same one’s of before', async () => {
    const enemy = await third();
    const earlier = ends();
    const said = await enemy.record(earlier.creditSubject);
    const [first, before] = [await target(earlier), await source(earlier)];
    await before.send();
    expect(await before.direct.final).toMatchObject({ type: 'done' });
    await expect.poll(() => said.some((word) => word.includes('"done"'))).toBe(true);
    first.direct.close();

    const of = ends();
    const own = await enemy.record(of.creditSubject);
    const to = await target(of, true);
    const from = await source(of);
    const sending = from.send();
    await expect.poll(() => own.length).toBeGreaterThan(2);
    const all = [...said, ...own];
    await enemy.publish(of.creditSubject, ...all);
    await expect.poll(() => from.direct.forged).toBeGreaterThanOrEqual(all.length);
    expect(from.direct.over).toBeUndefined();
    to.go();
    await sending;
    expect(await from.direct.final).toMatchObject({ type: 'done', bytes: stream.length });
  });
});

describe('what a third party says in the name of the source', () => {
  const frames = [
    controlFrame('ping', 0),
    controlFrame('end', 0),
    controlFrame('end', stream.length),
    controlFrame('abort', 0, JSON.stringify(noSpace)),
  ];

  test('neither begins, ends nor breaks a stream, and the true word does', async () => {
    const of = ends();
    const enemy = await third();
    const to = await target(of, true);
    const words = frames.flatMap((frame) => forgedFrames(of, frame));
    await enemy.publish(of.dataSubject, ...words);
    await expect.poll(() => to.direct.forged).toBe(words.length);
    expect(to).toMatchObject({ began: 0, broken: undefined, forged: 1, direct: { heard: 0 } });
    const from = await source(of);
    const sending = from.send();
    await expect.poll(() => to.direct.received).toBe(window);
    await enemy.publish(of.dataSubject, ...words);
    await expect.poll(() => to.direct.forged).toBe(2 * words.length);
    to.go();
    await sending;
    expect(await from.direct.final).toEqual({ type: 'done', guid: '42', bytes: stream.length });
    expect(Buffer.concat(to.taken).equals(stream)).toBe(true);
    expect(to).toMatchObject({ began: 1, broken: undefined, forged: 1 });
  });

  test('does not keep a transfer whose source is gone, nor do the source’s own words again', async () => {
    const of = ends();
    const enemy = await third();
    const to = await target(of);
    const recorded = await enemy.record(of.dataSubject);
    const nc = await third();
    const words = wordsOfSource(nameOf(of), of.secrets);
    await nc.publish(of.dataSubject, words.own.tag(controlFrame('ping', 0)));
    await expect.poll(() => to.direct.heard).toBe(1);
    await expect.poll(() => recorded.length).toBe(1);
    const all = [...recorded, ...frames.flatMap((frame) => forgedFrames(of, frame))];
    const speaking = setInterval(() => void enemy.publish(of.dataSubject, ...all), 100);
    onTestFinished(() => clearInterval(speaking));
    await expect
      .poll(() => to.broken, { timeout: 5000 })
      .toMatchObject({
        code: 'STREAM_BROKEN',
        details: { reason: 'silent' },
      });
    expect(to).toMatchObject({ began: 0, direct: { heard: 1 } });
  });

  test('a replayed end or abort of an earlier transfer does nothing', async () => {
    const enemy = await third();
    const earlier = ends();
    const said = await enemy.record(earlier.dataSubject);
    const [first, before] = [await target(earlier), await source(earlier)];
    before.direct.abort(noSpace);
    await expect.poll(() => first.broken?.code).toBe('NO_SPACE');
    await expect.poll(() => said.length).toBeGreaterThan(0);
    const of = ends();
    const to = await target(of);
    await enemy.publish(of.dataSubject, ...said);
    await expect.poll(() => to.direct.forged).toBe(said.length);
    expect(to.broken).toBeUndefined();
  });
});

describe('data that a third party publishes', () => {
  test('begins nothing before the source has said a word', async () => {
    const of = ends();
    const enemy = await third();
    const to = await target(of);
    await enemy.publish(of.dataSubject, data(0, stream.subarray(0, 1000)));
    await expect.poll(() => to.broken?.code).toBe('STREAM_BROKEN');
    expect([to.began, to.taken]).toEqual([0, []]);
    to.direct.close();

    // however long it waits for that word, until the silence ends it
    const next = ends();
    const said = await enemy.record(next.creditSubject);
    const waiting = await target(next);
    await expect.poll(() => waiting.broken?.details?.reason, { timeout: 5000 }).toBe('silent');
    await expect.poll(() => said.some((word) => word.includes('"failed"'))).toBe(true);
    expect(said.filter((word) => /"upTo":[1-9]/.test(word.toString()))).toEqual([]);
  });

  test.each([
    ['before the true bytes of the same place', 0, 1000],
    ['in place of all that may come', 0, window],
    ['of a place that was sent already', -1, 1000],
  ])('%s ends in a failure at both ends, never in done', async (_what, at, length) => {
    const of = ends();
    const enemy = await third();
    const to = await target(of, true);
    const from = await source(of);
    // the receiver has met the source, and granted it a window
    await expect.poll(() => from.direct.room).toBe(window);
    if (at < 0) {
      const sending = from.send().catch((error) => error);
      await expect.poll(() => to.direct.received).toBe(window);
      await enemy.publish(of.dataSubject, data(0, stream.subarray(0, length)));
      await sending;
    } else {
      await enemy.publish(of.dataSubject, data(0, stream.subarray(0, length)));
      await expect.poll(() => to.direct.received).toBe(length);
      await from.send().catch((error) => error);
    }
    expect(await from.direct.final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN' } });
    expect(to.broken).toMatchObject({
      code: 'STREAM_BROKEN',
      details: { reason: expect.stringMatching(/^(gap|beyond-credit)$/) },
    });
  });
});

test('of two receivers of one stream neither speaks for the other, and nobody speaks on the subject that they share', async () => {
  const sharedSubject = 'zfs-data.a._fan.jobjobf1';
  const [one, two] = [ends('b'), ends('c')];
  const enemy = await third();
  const [first, second] = [await target(one, false, sharedSubject), await target(two, true, sharedSubject)];
  const from = await dataConnection();
  const [toFirst, toSecond] = [one, two].map((of) => {
    const direct = openDirectSender(from, {
      ...of,
      window,
      silenceMs,
      patienceMs,
      words: wordsOfSource(nameOf(of), of.secrets),
    });
    onTestFinished(() => direct.close());
    direct.share(sharedSubject);
    return direct;
  });
  if (!toFirst || !toSecond) throw new Error('two are needed');
  // what the first member knows: its own secrets, and all that is on the shared subject
  const own = wordsOfTarget(nameOf(one), one.secrets).own;
  const done = JSON.stringify({ type: 'done', guid: '42', bytes: stream.length });
  const said = await enemy.record(one.dataSubject);
  const subscribers = [toFirst, toSecond];
  const broadcasting = broadcast(
    from,
    { subject: sharedSubject, subscribers },
    Readable.from([stream], { objectMode: false }),
  );
  await expect.poll(() => second.direct.received).toBe(window);
  await expect.poll(() => said.length).toBeGreaterThan(0);
  const words = wordsOfSource(nameOf(one), one.secrets).own;
  const frames = [controlFrame('end', window), controlFrame('abort', 0, JSON.stringify(noSpace))];
  const forged = [...frames, ...frames.map((frame) => words.tag(frame)), ...said];
  await enemy.publish(sharedSubject, ...forged.slice(0, 2));
  await enemy.publish(two.dataSubject, ...forged);
  await enemy.publish(two.creditSubject, tagText(own, done), done);
  await expect.poll(() => second.direct.forged).toBe(forged.length + 2);
  expect([toSecond.over, second.broken]).toEqual([undefined, undefined]);
  second.go();
  await broadcasting;
  for (const direct of subscribers) direct.end();
  const finals = await Promise.all(subscribers.map(({ final }) => final));
  expect(finals).toEqual(Array(2).fill({ type: 'done', guid: '42', bytes: stream.length }));
  for (const { taken } of [first, second]) expect(Buffer.concat(taken).equals(stream)).toBe(true);
});
