import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../../lib/time/clock.ts';
import { manualClock } from '../../../support/manual-clock.ts';

test('a manual clock moves only by its advances', async () => {
  const clock = manualClock();
  const [began, date] = [clock.now(), clock.date()];
  await clock.advance(1500);
  expect([clock.now() - began, clock.date() - date]).toEqual([1500, 1500]);
});

test('timers run in order of their times, each at its own time', async () => {
  const clock = manualClock();
  const seen: [string, number][] = [];
  const note = (name: string) => () => void seen.push([name, clock.now()]);
  clock.after(300, note('late'));
  clock.after(100, note('early'));
  const stop = clock.every(120, note('tick'));
  await clock.advance(250);
  stop();
  await clock.advance(250);
  expect(seen).toEqual([
    ['early', 100],
    ['tick', 120],
    ['tick', 240],
    ['late', 300],
  ]);
  expect(clock.pending).toBe(0);
});

test('the continuation of a sleep runs before later timers', async () => {
  const clock = manualClock();
  const seen: number[] = [];
  const loop = (async () => {
    for (let round = 0; round < 3; round += 1) {
      await clock.sleep(100);
      seen.push(clock.now());
    }
  })();
  await clock.advance(1000);
  await loop;
  expect(seen).toEqual([100, 200, 300]);
});

const clocks: [string, () => Clock][] = [
  ['the system clock', () => systemClock],
  ['a manual clock', manualClock],
];

test.each(clocks)('%s ends a sleep when its signal is aborted', async (_name, make) => {
  const aborting = new AbortController();
  const sleeping = make().sleep(1_000_000, aborting.signal);
  aborting.abort();
  await expect(sleeping).rejects.toThrow(/abort/i);
  await expect(make().sleep(1_000_000, aborting.signal)).rejects.toThrow(/abort/i);
});

test.each(clocks)('%s: a cancelled timer does not run', async (_name, make) => {
  const clock = make();
  const cancel = clock.after(0, () => expect.unreachable());
  cancel();
  const stop = clock.every(1, () => expect.unreachable());
  stop();
  if ('advance' in clock) await (clock as ReturnType<typeof manualClock>).advance(10);
  else await clock.sleep(10);
});

test('the system clock accepts a time that is longer than a Node timer can be', async () => {
  const cancel = systemClock.after(2 ** 40, () => expect.unreachable());
  await systemClock.sleep(5);
  cancel();
});

test('the system clock runs timers', async () => {
  await new Promise<void>((resolve) => systemClock.after(1, resolve));
  await new Promise<void>((resolve) => {
    let count = 0;
    const stop = systemClock.every(1, () => {
      count += 1;
      if (count < 3) return;
      stop();
      resolve();
    });
    // a timer of this clock alone keeps no process alive
    void systemClock.sleep(1000).catch(() => {});
  });
});
