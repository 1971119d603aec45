import fc from 'fast-check';
import { expect, test } from 'vitest';
import { headerBytes } from '../../../../../lib/bus/channel/direct/frame.ts';
import { type FrameHandlers, openFrames } from '../../../../../lib/bus/channel/direct/frame-parser.ts';
import { chunkBytes, dataPublications } from '../../../../../lib/bus/channel/direct/publish.ts';
import {
  openProtocolSplitter,
  type RawSubscription,
} from '../../../../../lib/bus/data-connection/protocol-splitter.ts';

const claimed = (events: string[]): RawSubscription => ({
  subject: 'data.a',
  begin: (length) => events.push(`begin ${length}`),
  piece: (bytes) => events.push(bytes.toString('latin1')),
  pause: () => {},
  unexpected: (subject) => events.push(`unexpected ${subject}`),
});

/** The output when the bytes arrive in pieces of these sizes; the last size repeats. */
function feed(wire: string, sizes: readonly number[]): { passed: string; events: string[] } {
  let passed = '';
  const events: string[] = [];
  const splitter = openProtocolSplitter((bytes) => {
    passed += bytes.toString('latin1');
  });
  splitter.subscriptions.set(7, claimed(events));
  const bytes = Buffer.from(wire, 'latin1');
  let piece = 0;
  for (let at = 0; at < bytes.length; piece += 1) {
    const size = sizes[Math.min(piece, sizes.length - 1)] ?? 1;
    splitter.feed(bytes.subarray(at, at + size));
    at += size;
  }
  return { passed, events };
}

const rest =
  'INFO {"a":1}\r\nPING\r\nMSG other 8 5\r\nMSG 7\r\nHMSG data.a 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\n-ERR \'x\'\r\nPONG\r\n';
const wire = `INFO {"a":1}\r\nPING\r\nMSG data.a 7 5\r\nhe\r\nx\r\nMSG data.a 7 5\r\nMSG d\r\nMSG data.a 7 50\r\n${'y'.repeat(50)}\r\nMSG other 8 5\r\nMSG 7\r\nMSG data.a 7 reply 3\r\nabc\r\nMSG data.b 7 4\r\nevil\r\nHMSG data.a 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\n-ERR 'x'\r\nPONG\r\n`;

test('claimed messages are taken out and all other bytes are passed on unchanged, for any reads', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 40 }), (sizes) => {
      const { passed, events } = feed(wire, sizes);
      expect(passed).toBe(rest);
      const text = events.join('|');
      expect(text.replaceAll(/\|(?!begin|unexpected)/g, '')).toBe(
        `begin 5he\r\nx|begin 5MSG d|begin 50${'y'.repeat(50)}|begin 3abc|unexpected data.b`,
      );
    }),
  );
});

test('an ended claim, or the one that replaces it, does not receive the messages of the other', () => {
  const [first, second]: [string[], string[]] = [[], []];
  let passed = '';
  const splitter = openProtocolSplitter((bytes) => {
    passed += bytes.toString('latin1');
  });
  const message = Buffer.from('MSG data.a 7 2\r\nhi\r\n');
  splitter.subscriptions.set(7, claimed(first));
  splitter.feed(message);
  splitter.feed(message);
  splitter.subscriptions.set(7, claimed(second));
  splitter.feed(message);
  splitter.subscriptions.delete(7);
  splitter.feed(message);
  expect({ first, second, passed }).toEqual({
    first: ['begin 2', 'hi', 'begin 2', 'hi'],
    second: ['begin 2', 'hi'],
    passed: message.toString(),
  });
});

test('a claim may match messages whose subject differs from the subscription', () => {
  const events: string[] = [];
  const splitter = openProtocolSplitter(() => {});
  splitter.subscriptions.set(7, { ...claimed(events), deliveredAs: 'stored.x' });
  splitter.feed(Buffer.from('MSG stored.x 7 $JS.ACK.1 2\r\nhi\r\nMSG data.a 7 2\r\nno\r\n'));
  expect(events).toEqual(['begin 2', 'hi', 'unexpected data.a']);
});

test('a stream arrives from its frames unchanged, for any reads', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 60_000, size: 'max' }),
      fc.integer({ min: 1, max: 70_000 }),
      (stream, size) => {
        const pieces: Buffer[] = [];
        const offsets: number[] = [];
        const frames = openFrames({
          header: (header) => offsets.push(header?.offset ?? -1),
          data: (bytes) => pieces.push(Buffer.from(bytes)),
          control: () => {},
        });
        const splitter = openProtocolSplitter(() => {});
        splitter.subscriptions.set(7, { ...claimed([]), begin: frames.begin, piece: frames.piece });
        const sent = Buffer.concat(dataPublications('data.a', 100, Buffer.from(stream)));
        const delivered = Buffer.from(sent.toString('latin1').replaceAll('PUB data.a ', 'MSG data.a 7 '), 'latin1');
        for (let at = 0; at < delivered.length; at += size) splitter.feed(delivered.subarray(at, at + size));
        expect(Buffer.concat(pieces).equals(Buffer.from(stream))).toBe(true);
        expect(offsets[0]).toBe(100);
      },
    ),
    { numRuns: 30 },
  );
});

test.each([64, 100, 16_000, 1_000_000])('no frame exceeds a max_payload of %i bytes', (most) => {
  const stream = Buffer.alloc(50_000, 'x');
  const sent = Buffer.concat(dataPublications('data.a', 0, stream, most)).toString('latin1');
  const sizes = [...sent.matchAll(/PUB data\.a (\d+)\r\n/g)].map(([, size]) => Number(size));
  expect(Math.max(...sizes)).toBeLessThanOrEqual(most);
  const headers = sizes.length * (Number(sizes[0]) - Math.min(most - headerBytes, chunkBytes));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(stream.length + headers);
});

test.each([
  ['too short for a header', 5, '\x00\x00\x00\x00\x00', 5],
  ['of an unknown type', 9, '\x09\x00\x00\x00\x00\x00\x00\x00\x00', 9],
  ['of nothing', 0, '', undefined],
  ['an abort with a reason of a megabyte', 1_000_009, '\x02\x00\x00\x00\x00\x00\x00\x00\x00', undefined],
])('a message %s is not data; it is a possible control message, or invalid', (_what, length, bytes, whole) => {
  const seen: unknown[] = [];
  const handlers: FrameHandlers = {
    header: () => seen.push('data'),
    data: () => seen.push('data'),
    control: (tagged) => seen.push(tagged?.length),
  };
  const frames = openFrames(handlers);
  frames.begin(length);
  // in two reads
  const text = Buffer.from(bytes, 'latin1');
  for (const piece of [text.subarray(0, 3), text.subarray(3)]) if (piece.length > 0) frames.piece(piece, undefined);
  expect(seen).toEqual([whole]);
});

test('a data frame with an offset beyond 2^53 is invalid', () => {
  const headers: unknown[] = [];
  const frames = openFrames({ header: (header) => headers.push(header), data: () => {}, control: () => {} });
  frames.begin(20);
  frames.piece(Buffer.alloc(20, 0xff).fill(0, 0, 1), undefined);
  expect(headers).toEqual([undefined]);
});
