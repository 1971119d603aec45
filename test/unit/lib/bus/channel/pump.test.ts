import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SourceReader } from '../../../../../lib/bus/channel/byte-source.ts';
import { pump } from '../../../../../lib/bus/channel/pump.ts';

/** Byte number `n` of the stream; the period has nothing in common with any size in use. */
const byteAt = (n: number): number => (n * 31 + (n >> 8)) % 251;

/** What happens next: the child writes, a write to the socket is flushed, the receiver grants. */
const event = fc.oneof(
  fc.record({ type: fc.constant('read' as const), bytes: fc.integer({ min: 1, max: 262_144 }) }),
  fc.record({ type: fc.constant('flush' as const) }),
  fc.record({ type: fc.constant('grant' as const), bytes: fc.integer({ min: 1, max: 400_000 }) }),
);

test('what is sent stays as it was until it is flushed, however reads, grants and flushes come', async () => {
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
          // as Node does: memory for the next read is asked for at once, also when reading stops
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
