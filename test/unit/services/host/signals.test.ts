import { describe, expect, test } from 'vitest';
import { timing } from '../../../../lib/time/timing.ts';
import { isHangUp, openReloadRequests } from '../../../../services/host/signals.ts';
import { manualClock } from '../../../support/manual-clock.ts';

const { reloadMs } = timing.service;

function requests() {
  const clock = manualClock();
  const reloads = openReloadRequests(clock);
  let served = 0;
  const serve = () =>
    reloads.serve(() => {
      served += 1;
    });
  return { clock, reloads, serve, served: () => served };
}

describe('requests to reload', () => {
  test('of one moment are one; a later one is another', async () => {
    const { clock, reloads, serve, served } = requests();
    serve();
    for (let at = 0; at < 5; at += 1) reloads.add();
    await clock.advance(reloadMs);
    expect(served()).toBe(1);
    reloads.add();
    await clock.advance(reloadMs);
    expect(served()).toBe(2);
  });

  test('during the start are served after it, as one', async () => {
    const { clock, reloads, serve, served } = requests();
    reloads.add();
    reloads.add();
    await clock.advance(10 * reloadMs);
    expect(served()).toBe(0);
    serve();
    await clock.advance(10 * reloadMs);
    expect(served()).toBe(1);
  });

  test('are none without a signal', async () => {
    const { clock, serve, served } = requests();
    serve();
    await clock.advance(10 * reloadMs);
    expect([served(), clock.pending]).toEqual([0, 0]);
  });

  test('that come while the service stops, or shortly before, are ignored', async () => {
    const { clock, reloads, serve, served } = requests();
    serve();
    reloads.add();
    reloads.stop();
    reloads.add();
    await clock.advance(10 * reloadMs);
    expect(served()).toBe(0);
  });
});

test.each([
  ['a private sender', true, false, false, true],
  ['a private sender with a terminal', true, true, true, true],
  ['a service without a terminal', false, false, false, false],
  ['a service with a terminal, from kill(1)', false, true, true, false],
  ['a service whose terminal hangs up', false, true, false, true],
])('SIGHUP to %s', (_what, isPrivate, had, has, ends) => expect(isHangUp(isPrivate, had, has)).toBe(ends));
