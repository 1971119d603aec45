import { describe, expect, test } from 'vitest';
import { settlesWithinMs } from '../../../../../lib/bus/locks/lease-state.ts';
import { openServerClock } from '../../../../../lib/bus/locks/server-clock.ts';

/** The server's clock at local time 0. */
const zero = Date.parse('2026-11-30T12:00:00Z');

/** Samples at local times, each with the offset of the server's clock; answers take 20 ms. */
function noted(...notes: readonly (readonly [at: number, moved: number])[]): number {
  const clock = openServerClock();
  for (const [at, moved] of notes) clock.note(zero + at + moved, at - 10, at + 10);
  return clock.setForward;
}

describe('a server’s clock', () => {
  test.each([
    ['that nobody asked', []],
    ['that was asked once', [[0, 0]]],
    [
      'that goes as ours does, but for the time that an answer takes',
      [
        [0, 0],
        [9000, 0],
      ],
    ],
    [
      'that was set back',
      [
        [0, 0],
        [9000, -3_600_000],
      ],
    ],
  ] as const)('%s was not set forward', (_what, notes) => expect(noted(...notes)).toBeLessThanOrEqual(20));

  test.each([
    [
      'since the last note',
      60_000,
      [
        [0, 0],
        [9000, 60_000],
      ],
    ],
    [
      'an hour after the last note',
      60_000,
      [
        [0, 0],
        [3_600_000, 60_000],
      ],
    ],
    [
      'a moment ago, and asked several times since',
      60_000,
      [
        [0, 0],
        [5000, 60_000],
        [6000, 60_000],
        [7000, 60_000],
      ],
    ],
    [
      'twice',
      90_000,
      [
        [0, 0],
        [6000, 60_000],
        [7000, 90_000],
      ],
    ],
    [
      'and less far back',
      40_000,
      [
        [0, -40_000],
        [6000, 60_000],
        [7000, 0],
      ],
    ],
    [
      'right after this process began',
      60_000,
      [
        [0, 0],
        [100, 60_000],
      ],
    ],
    [
      'slowly',
      700,
      [
        [0, 0],
        [3_600_000, 700],
      ],
    ],
  ] as const)('that was set forward %s', (_when, ms, notes) => {
    expect(noted(...notes)).toBeGreaterThanOrEqual(ms);
    expect(noted(...notes)).toBeLessThanOrEqual(ms + 20);
  });

  test('that was set forward does not matter when no earlier holder can act', () => {
    const set = [0, 1000, 2000].map((at) => [at + 100, 60_000] as const);
    expect(noted([0, 0], ...set, [settlesWithinMs + 90, 60_000])).toBeGreaterThanOrEqual(60_000);
    expect(noted([0, 0], ...set, [settlesWithinMs + 110, 60_000])).toBeLessThanOrEqual(20);
  });

  test('was set forward by at most the duration of a slow answer', () => {
    const clock = openServerClock();
    clock.note(zero, 0, 0);
    clock.note(zero + 9000, 8000, 9000);
    expect(clock.setForward).toBe(1000);
  });

  test('is not known more exactly by an answer without a time', () => {
    const clock = openServerClock();
    clock.note(undefined, 0, 10);
    expect(clock.setForward).toBe(0);
  });
});
