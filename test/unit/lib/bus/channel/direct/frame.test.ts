import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  controlFrame,
  type FrameType,
  headerBytes,
  readHeader,
  writeHeader,
} from '../../../../../../lib/bus/channel/direct/frame.ts';

const types: FrameType[] = ['data', 'end', 'abort', 'ping'];

test('every type and every offset up to 2^53 survives encoding', () => {
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.maxSafeNat(), (type, offset) => {
      const frame = Buffer.alloc(headerBytes);
      writeHeader(frame, 0, type, offset);
      expect(readHeader(frame)).toEqual({ type, offset });
    }),
  );
});

test('a control frame has its body after the header', () => {
  const frame = controlFrame('abort', 7, '{"code":"ABORTED"}');
  expect(readHeader(frame)).toEqual({ type: 'abort', offset: 7 });
  expect(frame.subarray(headerBytes).toString()).toBe('{"code":"ABORTED"}');
});

test.each([
  ['nothing', ''],
  ['eight bytes', '0000000000000000'],
  ['an unknown type', '040000000000000000'],
  ['an offset beyond 2^53', '000020000000000000'],
])('%s is not a frame', (_what, hex) => {
  expect(readHeader(Buffer.from(hex, 'hex'))).toBeUndefined();
});
