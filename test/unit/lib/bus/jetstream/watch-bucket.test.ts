import { PermissionViolationError } from '@nats-io/transport-node';
import { expect, onTestFinished, test } from 'vitest';
import { followMark } from '../../../../../lib/bus/jetstream/watch-bucket.ts';
import { timing } from '../../../../../lib/time/timing.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

type Answer = string | Error | Promise<string>;

/** Watches marks with a clock of the test; `answer` sets the answer from then on. */
function following(answer: Answer) {
  const clock = manualClock();
  const pass = (times = 1) => clock.advance(times * timing.events.bucketMs);
  const state = { answer, asked: 0, told: 0, reconnect: () => {} };
  const ask = async () => {
    state.asked += 1;
    if (state.answer instanceof Error) throw state.answer;
    return state.answer;
  };
  const onReconnected = (listener: () => void) => {
    state.reconnect = listener;
    return () => {
      state.reconnect = () => {};
    };
  };
  const stop = followMark(
    ask,
    onReconnected,
    () => {
      state.told += 1;
    },
    clock,
  );
  onTestFinished(stop);
  return { state, stop, pass };
}

test('an unchanged mark is reported once, and each new mark after it', async () => {
  const { state, pass } = following('1');
  await pass(4);
  expect(state).toMatchObject({ asked: 4, told: 1 });
  state.answer = '2';
  await pass(2);
  state.answer = '1';
  await pass(2);
  expect(state.told).toBe(3);
});

test('after a failure, the next mark is reported, even if it is unchanged', async () => {
  const { state, pass } = following('1');
  await pass();
  state.answer = new Error('no responders');
  await pass(2);
  expect(state.told).toBe(1);
  state.answer = '1';
  await pass(2);
  expect(state).toMatchObject({ asked: 5, told: 2 });
});

test('a denied request is repeated only after a reconnect', async () => {
  const { state, pass } = following(new PermissionViolationError('no', 'publish', '$JS.API.STREAM.INFO.KV_x'));
  await pass(3);
  expect(state.asked).toBe(1);
  state.reconnect();
  state.answer = '1';
  await pass();
  expect(state).toMatchObject({ asked: 2, told: 1 });
});

test('a slow answer is awaited, but not reported after the watch has ended', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { state, stop, pass } = following(promise);
  await pass(3);
  expect(state.asked).toBe(1);
  stop();
  resolve('1');
  await pass(3);
  expect(state).toMatchObject({ asked: 1, told: 0 });
});
