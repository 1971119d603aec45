import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SourceReader } from '../../../../../lib/bus/channel/byte-source.ts';
import { pump } from '../../../../../lib/bus/channel/pump.ts';

/** Byte `n` of the stream; its period is coprime to all sizes in use. */
const byteAt = (n: number): number => (n * 31 + (n >> 8)) % 251;

/** The next event: the child writes, a write to the socket is flushed, or the receiver grants. */
const event = fc.oneof(
  fc.record({ type: fc.constant('read' as const), bytes: fc.integer({ min: 1, max: 262_144 }) }),
  fc.record({ type: fc.constant('flush' as const) }),
  fc.record({ type: fc.constant('grant' as const), bytes: fc.integer({ min: 1, max: 400_000 }) }),
);

test('sent bytes do not change before their flush, in any order of reads, grants and flushes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 20, maxLength: 120 }), async (events) => {
      let reader: SourceReader | undefined;
      let room: Buffer | undefined;
      let reading = true;
      let read = 0;
      let sent = 0;
      let granted = 300_000;
      let wake = () => {};
      const unflushed: { at: number; bytes: Buffer; flushed: () => void }[] = [];
      void pump(
        {
          readInto(to) {
            reader = to;
          },
          proceed() {
            reading = true;
          },
        },
        {
          room: () => granted - sent,
          send(bytes, flushed) {
            unflushed.push({ at: sent, bytes, flushed });
            sent += bytes.length;
          },
          failure: () => undefined,
          onChange(wakeUp) {
            wake = wakeUp;
            return () => {};
          },
        },
      );
      room = reader?.room();
      for (const happening of events) {
        if (happening.type === 'read' && reading && room) {
          const length = Math.min(happening.bytes, room.length);
          for (let at = 0; at < length; at++) room[at] = byteAt(read + at);
          read += length;
          reading = reader?.filled(length) ?? false;
          // like Node: it requests memory for the next read at once, even if reading stops
          room = reader?.room();
        } else if (happening.type === 'flush') {
          const write = unflushed.shift();
          write?.bytes.forEach((byte, at) => {
            if (byte !== byteAt(write.at + at)) throw new Error(`byte ${write.at + at} of the stream has changed`);
          });
          write?.flushed();
        } else if (happening.type === 'grant') {
          granted += happening.bytes;
          wake();
        }
      }
      expect(sent).toBeLessThanOrEqual(granted);
    }),
    { numRuns: 150 },
  );
});
