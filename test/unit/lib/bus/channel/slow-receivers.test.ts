import { describe, expect, test } from 'vitest';
import { openStragglers, type ReceiverSample } from '../../../../../lib/bus/channel/slow-receivers.ts';

const samples = 10;
const sampleMs = 100;

/** Each word is one sample: the full receivers, as `a` or `ab`, or `-` for none. `idle` is the share of time in which each is idle. */
function judged(words: string[], idle: Record<string, number>): string | undefined {
  const stragglers = openStragglers<string>(samples);
  let last: string | undefined;
  for (const [at, word] of words.entries()) {
    const all = Object.entries(idle).map(
      ([receiver, share]): ReceiverSample<string> => ({
        receiver,
        full: word.includes(receiver),
        idleMs: share * at * sampleMs,
      }),
    );
    last = stragglers.sample(all, at * sampleMs);
  }
  return last;
}
const times = (count: number, word: string): string[] => Array.from({ length: count }, () => word);

describe('a straggler', () => {
  test('is full in most samples, while another one is idle for most of the time', () => {
    expect(judged([...times(4, '-'), ...times(6, 'a')], { a: 0, b: 0.6 })).toBe('a');
    expect(judged(times(10, 'ab'), { a: 0, b: 0, c: 0.9 })).toBe('a');
  });

  test.each<[string, string[], Record<string, number>]>([
    ['one that is only a little slower, though always full', times(30, 'a'), { a: 0, b: 0.1 }],
    ['one that is full in half of the samples', [...times(5, '-'), ...times(5, 'a')], { a: 0, b: 0.9 }],
    ['one of which little was seen yet', times(9, 'a'), { a: 0, b: 0.9 }],
    ['one that has caught up', [...times(9, 'a'), '-'], { a: 0, b: 0.9 }],
    ['one whose window is small, and which has nothing to do either', times(30, 'a'), { a: 0.7, b: 0.7 }],
    ['anyone where all are slow', times(30, 'ab'), { a: 0, b: 0 }],
    ['one that is alone', times(30, 'a'), { a: 0.9 }],
  ])('is not: %s', (_what, words, idle) => {
    expect(judged(words, idle)).toBeUndefined();
  });

  test('is reported once, and then the samples of the others start again', () => {
    const stragglers = openStragglers<string>(samples);
    const told = times(3 * samples, 'a').map((_, at) =>
      stragglers.sample(
        [
          { receiver: 'a', full: true, idleMs: 0 },
          { receiver: 'b', full: false, idleMs: at * sampleMs },
        ],
        at * sampleMs,
      ),
    );
    expect(told.filter((one) => one !== undefined)).toHaveLength(3);
    expect(told.indexOf('a')).toBe(samples - 1);
  });
});
