import { beforeEach, expect, test } from 'vitest';
import type { StatusStore } from '../../../../../lib/bus/status/store.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { StatusEntry } from '../../../../../schemas/status.ts';
import { openStatusWriter, type StatusWriter } from '../../../../../services/sender/reporting/status-writer.ts';
import { type ManualClock, manualClock } from '../../../../support/manual-clock.ts';
import { mentions } from '../../../../support/mentions.ts';

/** Keys as they are written, with what distinguishes the entries. */
let written: string[];
let lines: string[];
/** The answers to writes. */
let answers: PromiseWithResolvers<void>[];
let answersByItself: boolean;
let clock: ManualClock;

beforeEach(() => {
  clock = manualClock();
  [written, lines, answers, answersByItself] = [[], [], [], true];
});

const entry =
  (written: string): (() => StatusEntry) =>
  () => ({ written });
const log = {
  info: (event: string) => void lines.push(event),
  warn: (event: string, text: string) => void lines.push(`${event} ${text}`),
};

function open(): StatusWriter {
  const store: Pick<StatusStore, 'put'> = {
    put(key, { written: text }) {
      written.push(`${key}=${text}`);
      const answer = Promise.withResolvers<void>();
      answers.push(answer);
      if (answersByItself) answer.resolve();
      return answer.promise;
    },
  };
  return openStatusWriter({ store, log, clock });
}

test('an entry is written at once, and then at most once a second with the newest state', async () => {
  const writer = open();
  for (let at = 0; at < 35; at += 1) {
    writer.put('a', entry(String(at)));
    await clock.advance(100);
  }
  expect(written[0]).toBe('a=0');
  expect(written).toHaveLength(4);
  await clock.advance(2000);
  expect(written.at(-1)).toBe('a=34');
});

test('an urgent entry is written at once, and counts as the write of its second', async () => {
  const writer = open();
  writer.put('a', entry('1'));
  writer.put('a', entry('2'));
  await clock.advance(500);
  writer.put('a', entry('3'), true);
  await clock.advance(0);
  expect(written).toEqual(['a=1', 'a=3']);
  writer.put('a', entry('4'));
  await clock.advance(900);
  expect(written).toEqual(['a=1', 'a=3']);
  expect(writer.pending()).toEqual([['a', { written: '4' }]]);
  await clock.advance(100);
  expect(written).toEqual(['a=1', 'a=3', 'a=4']);
});

test('of ten thousand datasets a few are written at once, and all of them in the end', async () => {
  answersByItself = false;
  const writer = open();
  for (let at = 0; at < 10_000; at += 1) writer.put(`k${at}`, entry('1'));
  expect(written).toHaveLength(4);
  writer.put('k9999', entry('2'));
  for (let at = 0; at < 10_000; at += 1) {
    answers[at]?.resolve();
    await clock.advance(0);
    expect(written.length - at).toBeLessThanOrEqual(5);
  }
  expect(written).toHaveLength(10_000);
  expect(written.at(-1)).toBe('k9999=2');
}, 60_000);

test('a failure is logged once, and retried later with the newer changes', async () => {
  answersByItself = false;
  const writer = open();
  writer.put('a', entry('1'));
  answers[0]?.reject(new ZpsendError('UNSUPPORTED', 'no JetStream'));
  await clock.advance(5000);
  writer.put('a', entry('2'));
  writer.put('b', entry('1'));
  await clock.advance(1000);
  expect(written).toEqual(['a=1']);
  await clock.advance(10_000);
  expect(written).toEqual(['a=1', 'a=2', 'b=1']);
  answers[1]?.reject(new ZpsendError('UNSUPPORTED', 'no JetStream'));
  await clock.advance(1000);
  expect(lines).toEqual([mentions('status.write-failed', 'UNSUPPORTED')]);
  answersByItself = true;
  await clock.advance(20_000);
  expect(lines[1]).toBe('status.written-again');
});

test('the end waits for the last entries, also for those still to be put', async () => {
  const writer = open();
  writer.put('a', entry('1'));
  await clock.advance(10);
  writer.put('a', entry('2'));
  const work = Promise.withResolvers<void>();
  writer.during(work.promise.then(() => writer.put('b', entry('1'))));
  let over = false;
  const stopped = writer.stop().then(() => {
    over = true;
  });
  await clock.advance(100);
  expect([written, over]).toEqual([['a=1', 'a=2'], false]);
  work.resolve();
  await clock.advance(0);
  await stopped;
  expect(written).toEqual(['a=1', 'a=2', 'b=1']);
});

test('the end waits two seconds at most', async () => {
  answersByItself = false;
  const writer = open();
  writer.put('a', entry('1'));
  const stopped = writer.stop();
  await clock.advance(2000);
  await stopped;
});
