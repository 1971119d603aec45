import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { openRateLimit } from '../../../../../../lib/bus/channel/rate-limit.ts';
import { openRateLimitedInput } from '../../../../../../lib/bus/channel/store/rate-limited-input.ts';
import { manualClock } from '../../../../../support/manual-clock.ts';

/** A `zfs receive` that takes at most so many writes, and then breaks. */
function aSink(most = Number.POSITIVE_INFINITY) {
  const took: number[] = [];
  const sink = new Writable({
    write(bytes: Buffer, _, callback) {
      if (took.length === most) return callback(new Error('EPIPE'));
      took.push(bytes.length);
      callback();
    },
  });
  return { sink, took };
}

const bytes = Buffer.alloc(3_000_000);

test('bytes wait for the sink, and then pass in pieces', async () => {
  const input = openRateLimitedInput(undefined, new AbortController().signal);
  const writing = input.write(bytes);
  const { sink, took } = aSink();
  expect(input.written).toBe(0);
  input.attach(sink);
  expect(await writing).toBe(true);
  expect({ took, written: input.written, pieces: input.pieces }).toEqual({
    took: [1_048_576, 1_048_576, 902_848],
    written: 3_000_000,
    pieces: 3,
  });
});

test('a sink that breaks takes no more, and its bytes do not count', async () => {
  const input = openRateLimitedInput(undefined, new AbortController().signal);
  const { sink, took } = aSink(1);
  input.attach(sink);
  expect(await input.write(bytes)).toBe(false);
  expect(await input.write(bytes)).toBe(false);
  expect({ took, written: input.written }).toEqual({ took: [1_048_576], written: 1_048_576 });
});

test('a rate limit delays the pieces, and nothing is written after an abort', async () => {
  const clock = manualClock();
  const stop = new AbortController();
  // the token bucket holds 100 ms
  const input = openRateLimitedInput(openRateLimit(1_000_000, clock), stop.signal);
  const { sink } = aSink();
  input.attach(sink);
  const writing = input.write(bytes);
  await clock.advance(0);
  expect(input.written).toBe(100_000);
  await clock.advance(500);
  const before = input.written;
  expect(before).toBeGreaterThan(500_000);
  expect(before).toBeLessThanOrEqual(600_000);
  stop.abort();
  await clock.advance(500);
  expect(await writing).toBe(true);
  // the piece that waited for its turn is the last
  expect(input.written - before).toBeLessThanOrEqual(100_000);
});
