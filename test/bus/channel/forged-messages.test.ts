import { describe, expect, onTestFinished, test } from 'vitest';
import {
  authenticationOfSource,
  authenticationOfTarget,
  tagText,
  trailerBytes,
} from '../../../lib/bus/channel/direct/authentic.ts';
import { controlFrame } from '../../../lib/bus/channel/direct/frame.ts';
import {
  type Ends,
  ends,
  nameOf,
  noSpace,
  stream,
  useSource,
  useTarget,
  useThirdParty,
  window,
} from '../../support/direct-ends.ts';
import { useNatsServer } from '../../support/nats-server.ts';

const server = useNatsServer({});
const url = () => server().url;

const flipped = (word: Buffer, at: number): Buffer => {
  const other = Buffer.from(word);
  other.writeUInt8(other.readUInt8(at) ^ 1, at);
  return other;
};

/** A word of text as a third party can make it: bare, with a made-up trailer, by another transfer's secrets, in the source's own name, a bit flipped. */
function forgeries(of: Ends, word: object): string[] {
  const text = JSON.stringify(word);
  const other = authenticationOfTarget(nameOf(of), ends().secrets);
  const right = tagText(authenticationOfTarget(nameOf(of), of.secrets).own, text);
  return [
    text,
    `${text}\n${Buffer.alloc(trailerBytes, 1).toString('base64url')}`,
    tagText(other.own, text),
    tagText(authenticationOfSource(nameOf(of), of.secrets).own, text),
    tagText(authenticationOfTarget({ ...nameOf(of), transfer: 'another1' }, of.secrets).own, text),
    // a bit flipped, in the tag and in the word
    `${right.slice(0, -1)}${right.endsWith('A') ? 'B' : 'A'}`,
    right.replace(/:([0-9])/, ':1$1').replace('failed', 'failes'),
  ];
}

/** The same of a frame. */
function forgedFrames(of: Ends, frame: Buffer): Buffer[] {
  const right = authenticationOfSource(nameOf(of), of.secrets).own.tag(frame);
  return [
    frame,
    Buffer.concat([frame, Buffer.alloc(trailerBytes, 1)]),
    authenticationOfSource(nameOf(of), ends().secrets).own.tag(frame),
    authenticationOfTarget(nameOf(of), of.secrets).own.tag(frame),
    authenticationOfSource({ ...nameOf(of), transfer: 'another1' }, of.secrets).own.tag(frame),
    ...[1, 8, right.length - trailerBytes, right.length - 1].map((at) => flipped(right, at)),
    frame.subarray(0, 5),
    Buffer.alloc(0),
    Buffer.from([9, ...frame.subarray(1)]),
  ];
}

describe('what a third party publishes in the name of the receiver', () => {
  test('neither ends a transfer nor grants anything, and the true message does', async () => {
    const of = ends();
    const enemy = await useThirdParty(url());
    const from = await useSource(url(), of);
    const words = [
      { type: 'done', guid: '42', bytes: stream.length },
      { type: 'failed', error: noSpace },
      { type: 'credit', upTo: 1 << 30 },
    ].flatMap((word) => forgeries(of, word));
    // before the receiver has granted anything, in the middle, and at the end
    await enemy.publish(of.creditSubject, ...words);
    await expect.poll(() => from.direct.forged).toBe(words.length);
    expect([from.forged, from.direct.room, from.direct.over]).toEqual([1, 0, undefined]);
    const to = await useTarget(url(), of, true);
    const sending = from.send();
    await expect.poll(() => from.direct.sent).toBe(window);
    await enemy.publish(of.creditSubject, ...words);
    await expect.poll(() => from.direct.forged).toBe(2 * words.length);
    to.go();
    await sending;
    await enemy.publish(of.creditSubject, ...words);
    expect(await from.direct.final).toEqual({ type: 'done', guid: '42', bytes: stream.length });
    expect(Buffer.concat(to.taken).equals(stream)).toBe(true);
    // it is reported once
    expect([from.forged, to.broken, to.forged]).toEqual([1, undefined, 0]);
  });

  test('does not keep a transfer whose receiver is gone', async () => {
    const of = ends();
    const enemy = await useThirdParty(url());
    const to = await useTarget(url(), of, true);
    const from = await useSource(url(), of);
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

  test('is not done either with the messages of an earlier transfer, or the same one’s of before', async () => {
    const enemy = await useThirdParty(url());
    const earlier = ends();
    const recorded = await enemy.record(earlier.creditSubject);
    const [first, before] = [await useTarget(url(), earlier), await useSource(url(), earlier)];
    await before.send();
    expect(await before.direct.final).toMatchObject({ type: 'done' });
    await expect.poll(() => recorded.some((word) => word.includes('"done"'))).toBe(true);
    first.direct.close();

    const of = ends();
    const own = await enemy.record(of.creditSubject);
    const to = await useTarget(url(), of, true);
    const from = await useSource(url(), of);
    const sending = from.send();
    await expect.poll(() => own.length).toBeGreaterThan(2);
    const all = [...recorded, ...own];
    await enemy.publish(of.creditSubject, ...all);
    await expect.poll(() => from.direct.forged).toBeGreaterThanOrEqual(all.length);
    expect(from.direct.over).toBeUndefined();
    to.go();
    await sending;
    expect(await from.direct.final).toMatchObject({ type: 'done', bytes: stream.length });
  });
});

describe('what a third party publishes in the name of the source', () => {
  const frames = [
    controlFrame('ping', 0),
    controlFrame('end', 0),
    controlFrame('end', stream.length),
    controlFrame('abort', 0, JSON.stringify(noSpace)),
  ];

  test('neither begins, ends nor breaks a stream, and the true message does', async () => {
    const of = ends();
    const enemy = await useThirdParty(url());
    const to = await useTarget(url(), of, true);
    const words = frames.flatMap((frame) => forgedFrames(of, frame));
    await enemy.publish(of.dataSubject, ...words);
    await expect.poll(() => to.direct.forged).toBe(words.length);
    expect(to).toMatchObject({ began: 0, broken: undefined, forged: 1, direct: { progress: 0 } });
    const from = await useSource(url(), of);
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

  test('does not keep a transfer whose source is gone, nor do the source’s own messages again', async () => {
    const of = ends();
    const enemy = await useThirdParty(url());
    const to = await useTarget(url(), of);
    const recorded = await enemy.record(of.dataSubject);
    const nc = await useThirdParty(url());
    const words = authenticationOfSource(nameOf(of), of.secrets);
    await nc.publish(of.dataSubject, words.own.tag(controlFrame('ping', 0)));
    await expect.poll(() => to.direct.progress).toBe(1);
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
    expect(to).toMatchObject({ began: 0, direct: { progress: 1 } });
  });

  test('a replayed end or abort of an earlier transfer does nothing', async () => {
    const enemy = await useThirdParty(url());
    const earlier = ends();
    const recorded = await enemy.record(earlier.dataSubject);
    const [first, before] = [await useTarget(url(), earlier), await useSource(url(), earlier)];
    before.direct.abort(noSpace);
    await expect.poll(() => first.broken?.code).toBe('NO_SPACE');
    await expect.poll(() => recorded.length).toBeGreaterThan(0);
    const of = ends();
    const to = await useTarget(url(), of);
    await enemy.publish(of.dataSubject, ...recorded);
    await expect.poll(() => to.direct.forged).toBe(recorded.length);
    expect(to.broken).toBeUndefined();
  });
});
