import { describe, expect, test } from 'vitest';
import { type Code, ZpsendError } from '../../../../../schemas/errors.ts';
import { retry } from '../../../../../services/sender/job/retry.ts';
import { openPlanTurns, turnsOfJob } from '../../../../../services/sender/planning/plan-turns.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

/** Work that lasts until it is ended, and how much of it has started. */
function openWork() {
  const started: { end: (outcome: 'done' | 'failed') => void }[] = [];
  const work = () =>
    new Promise<string>((resolve, reject) => {
      started.push({ end: (outcome) => (outcome === 'done' ? resolve(outcome) : reject(new Error(outcome))) });
    });
  return { started, work };
}

test('plans for one target take turns, a few at once, and a failed one frees its turn', async () => {
  const [turns, { started, work }] = [openPlanTurns(), openWork()];
  const plans = Array.from({ length: 10 }, () => turns('smos-00', work));
  const outcomes = Promise.allSettled(plans);
  await expect.poll(() => started.length).toBe(4);
  await Promise.resolve();
  expect(started.length).toBe(4);
  started[0]?.end('failed');
  started[1]?.end('done');
  await expect.poll(() => started.length).toBe(6);
  for (let ended = 2; ended < 10; ended += 1) {
    await expect.poll(() => started.length).toBeGreaterThan(ended);
    started[ended]?.end('done');
  }
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    ...Array.from({ length: 9 }, () => 'fulfilled'),
  ]);
});

test('plans for a target that does not answer delay no plan for another target', async () => {
  const [turns, hung, work] = [openPlanTurns(), openWork(), openWork()];
  for (let n = 0; n < 9; n += 1) void turns('smos-00', hung.work);
  const other = turns('smos-02', work.work);
  await expect.poll(() => work.started.length).toBe(1);
  work.started[0]?.end('done');
  expect(await other).toBe('done');
  expect(hung.started.length).toBe(4);
});

describe('a plan that waits for its turn', () => {
  test('leaves the queue when its job is aborted, and is not made', async () => {
    const [turns, { started, work }] = [openPlanTurns(), openWork()];
    const running = Array.from({ length: 4 }, () => turns('smos-00', work));
    const stop = new AbortController();
    const planned: string[] = [];
    const plan = (name: string, signal?: AbortSignal) =>
      turns('smos-00', async () => void planned.push(name), { ...(signal && { signal }) });
    const [aborted, next] = [plan('aborted', stop.signal), plan('next', new AbortController().signal)];
    const reason = new ZpsendError('ABORTED', 'by request');
    stop.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    expect(planned).toEqual([]);
    started[0]?.end('done');
    await next;
    for (const { end } of started) end('done');
    await Promise.all(running);
    expect(planned).toEqual(['next']);
    await expect(plan('late', stop.signal)).rejects.toBe(reason);
    expect(planned).toEqual(['next']);
  });

  test('that is aborted at its turn passes the turn to the next', async () => {
    const [turns, { started, work }] = [openPlanTurns(), openWork()];
    const stop = new AbortController();
    const reason = new ZpsendError('ABORTED', 'by request');
    // right after it has passed its turn on
    const first = turns('smos-00', async () => {}).then(() => stop.abort(reason));
    for (let n = 0; n < 3; n += 1) void turns('smos-00', work);
    const aborted = turns('smos-00', async () => 'planned', { signal: stop.signal });
    const next = turns('smos-00', async () => 'planned');
    await first;
    await expect(aborted).rejects.toBe(reason);
    expect(await next).toBe('planned');
    expect(started.length).toBe(3);
  });

  const subject = 'zfs.smos-00.snapshots';
  test.each<[Code, object, string]>([
    ['TIMEOUT', { subject }, 'rejected'],
    ['UNREACHABLE', { subject }, 'rejected'],
    ['TIMEOUT', {}, 'fulfilled'],
    ['DIVERGED', { subject }, 'fulfilled'],
  ])('for a target of which a plan ends with %s %j is %s', async (code, details, status) => {
    const [turns, { started, work }, other] = [openPlanTurns(), openWork(), openWork()];
    const error = new ZpsendError(code, code, { ...details });
    const fails = Promise.withResolvers<never>();
    const failing = turns('smos-00', () => fails.promise);
    for (let n = 0; n < 3; n += 1) void turns('smos-00', work);
    for (let n = 0; n < 4; n += 1) void turns('smos-02', other.work);
    const waits = Promise.allSettled([1, 2, 3].map(() => turns('smos-00', async () => 'planned')));
    const elsewhere = turns('smos-02', async () => 'planned');
    fails.reject(error);
    await expect(failing).rejects.toBe(error);
    const expected = status === 'rejected' ? { status, reason: error } : { status, value: 'planned' };
    expect(await waits).toEqual([expected, expected, expected]);
    expect(started.length).toBe(3);
    // the turn is free again
    expect(await turns('smos-00', async () => 'planned')).toBe('planned');
    other.started[0]?.end('done');
    expect(await elsewhere).toBe('planned');
  });
});

describe('64 jobs for a target whose listing hangs', () => {
  const minute = 60_000;

  test('all fail within their patience, not one after the other', async () => {
    const clock = manualClock();
    const all = openPlanTurns();
    const silence = new ZpsendError('TIMEOUT', 'no answer', { subject: 'zfs.smos-00.snapshots' });
    const hung = () => clock.sleep(100_000).then(() => Promise.reject(silence));
    const { signal } = new AbortController();
    const ends: number[] = [];
    const jobs = Array.from({ length: 64 }, async () => {
      const { turns, waitingSince } = turnsOfJob(all, clock, signal);
      const plan = () => turns('smos-00', hung);
      const options = { clock, patienceMs: 10 * minute, signal, onWait: () => {}, since: waitingSince };
      await expect(retry(plan, options)).rejects.toMatchObject({ code: 'TIMEOUT' });
      ends.push(clock.now() / minute);
    });
    await clock.advance(60 * minute);
    await Promise.all(jobs);
    expect(ends).toHaveLength(64);
    expect(Math.max(...ends)).toBeLessThan(15);
  });
});
