import { describe, expect, test } from 'vitest';
import type { Step } from '../../../../../../schemas/plan.ts';
import { type FanOutMember, openFanOutGroup } from '../../../../../../services/sender/transfer/fan-out/group.ts';
import {
  away,
  coming,
  gatherTime,
  isAwaited,
  keyOf,
  type MemberState,
} from '../../../../../../services/sender/transfer/fan-out/member-state.ts';
import type { Participant } from '../../../../../../services/sender/transfer/fan-out/session.ts';
import { manualClock } from '../../../../../support/manual-clock.ts';

const step = (to: number, from?: number, more: Partial<Step> = {}): Step => ({
  type: from === undefined ? 'full' : 'incremental',
  to: { name: `pool/a@${to}`, guid: `${to}` },
  ...(from !== undefined && { from: { name: `pool/a@${from}`, guid: `${from}`, kind: 'snapshot' } }),
  targetDataset: 'pool/a',
  ...more,
});

test.each<[string, MemberState, Step, boolean]>([
  ['a job that plans, or is between two steps', coming, step(2, 1), true],
  ['a job that brings the base of the step', { phase: 'sending', to: '1' }, step(2, 1), true],
  ['a job that is further behind', { phase: 'sending', to: '1' }, step(3, 2), false],
  ['a job that already sends the step itself', { phase: 'sending', to: '2' }, step(2, 1), false],
  ['a job that waits for the same step', { phase: 'waiting', key: '', to: '2' }, step(2, 1), false],
  ['a job that waits to bring the base of the step', { phase: 'waiting', key: '', to: '1' }, step(2, 1), true],
  ['a job that has nothing to send', away, step(2, 1), false],
  ['a job that sends, when the step is a full stream', { phase: 'sending', to: '1' }, step(2), false],
])('%s: is it awaited?', (_what, state, next, awaited) => {
  expect(isAwaited(state, next)).toBe(awaited);
});

test('steps share one read only with the same snapshots, dataset and flags', () => {
  const keys = [
    step(2, 1),
    step(2),
    step(3, 1),
    step(2, 1, { flags: ['raw'] }),
    step(2, 1, { to: { name: 'pool/b@2', guid: '2' } }),
  ].map(keyOf);
  expect(new Set(keys).size).toBe(keys.length);
  // a bookmark of the same snapshot begins the same stream
  expect(keyOf(step(2, 1, { from: { name: 'pool/a#x', guid: '1', kind: 'bookmark' } }))).toBe(keys[0]);
  expect(keyOf(step(2, 1, { targetDataset: 'elsewhere/a' }))).toBe(keys[0]);
});

test('a job that sends alone is not awaited at that step, and is at the next', async () => {
  const [one, two] = fanOut(2);
  one?.planned(['pool/a']);
  two?.planned(['pool/a']);
  two?.sendsAlone(step(2, 1));
  expect(await one?.gather(step(2, 1))).toBeUndefined();
  one?.left('pool/a', true);
  const waits = one?.gather(step(3, 2));
  let hasGathered = false;
  void waits?.then(() => {
    hasGathered = true;
  });
  await Promise.resolve();
  expect(hasGathered).toBe(false);
  two?.left('pool/a', true);
  const other = two?.gather(step(3, 2));
  expect(await waits).toBeDefined();
  expect(await other).toBeDefined();
});

test('ready jobs wait for a late one at most as long as the last step took, within bounds', () => {
  expect([undefined, 0, 100, 1000, 60_000].map((before) => gatherTime(before, 5000))).toEqual([
    5000, 250, 250, 1000, 5000,
  ]);
});

function fanOut(size: number, gatherMs = 60_000, clock = manualClock()): FanOutMember[] {
  // nothing is read: the participants are never taken
  const nothing = new Proxy({}, { get: () => expect.unreachable('nothing is read here') });
  const deps = { zfs: nothing as never, dataConnection: nothing as never, host: 'src' };
  return openFanOutGroup({ ...deps, id: 'fan0000000', size, gatherMs, answerMs: 60_000, clock });
}

/** The state of a session so far. */
async function outcome(session: Promise<Participant | undefined> | undefined): Promise<string> {
  await Promise.resolve();
  const participant = await Promise.race([session, Promise.resolve('waits' as const)]);
  if (participant === 'waits') return 'waits';
  return participant ? `participant ${participant.id}` : 'alone';
}

describe('jobs that need the same step', () => {
  test('share one session once all of them have arrived', async () => {
    const [a, b, c] = fanOut(3);
    const first = a?.gather(step(1));
    const second = b?.gather(step(1));
    expect(await outcome(first)).toBe('waits');
    const third = c?.gather(step(1));
    for (const session of [first, second, third]) expect(await outcome(session)).toBe('participant fan0000000f1');
  });

  test('await a late one three times as long as a long planning took', async () => {
    const clock = manualClock();
    const [a, b] = fanOut(2, 5000, clock);
    await clock.advance(4000);
    const first = a?.gather(step(1));
    await clock.advance(11_999);
    expect(await outcome(first)).toBe('waits');
    await clock.advance(1);
    expect(await outcome(first)).toBe('alone');
    expect(await outcome(b?.gather(step(1)))).toBe('alone');
  });

  test('await a job at the step before, and none that is further behind', async () => {
    const [a, b, c] = fanOut(3);
    const [first, second] = [a?.gather(step(2, 1)), b?.gather(step(2, 1))];
    expect(await outcome(first)).toBe('waits');
    expect(await outcome(c?.gather(step(1)))).toBe('alone');
    expect(await outcome(second)).toBe('waits');
    c?.left('pool/a', true);
    expect(await outcome(second)).toBe('waits');
    for (const session of [c?.gather(step(2, 1)), first, second])
      expect(await outcome(session)).toBe('participant fan0000000f1');
    a?.left('pool/a', true);
    b?.left('pool/a', true);
    expect(await outcome(a?.gather(step(4, 3)))).toBe('waits');
    expect(await outcome(b?.gather(step(4, 3)))).toBe('participant fan0000000f2');
  });

  test('do not await a job that plans nothing for the dataset, or has ended', async () => {
    const [a, b, c] = fanOut(3);
    const session = a?.gather(step(1));
    b?.planned(['pool/b']);
    expect(await outcome(session)).toBe('waits');
    c?.ended();
    expect(await outcome(session)).toBe('alone');
  });

  test('await a job that has planned the dataset; a job that is too late sends alone', async () => {
    const clock = manualClock();
    const [a, b, c] = fanOut(3, 1000, clock);
    b?.planned(['pool/a']);
    const [first, second] = [a?.gather(step(1)), c?.gather(step(1))];
    await clock.advance(999);
    expect(await outcome(first)).toBe('waits');
    await clock.advance(1);
    expect(await outcome(first)).toBe('participant fan0000000f1');
    expect(await outcome(second)).toBe('participant fan0000000f1');
    expect(await outcome(b?.gather(step(1)))).toBe('alone');
  });

  test('gather again for the next step, which is another read', async () => {
    const [a, b] = fanOut(2);
    const firsts = [a?.gather(step(1)), b?.gather(step(1))];
    expect(await Promise.all(firsts.map(outcome))).toEqual(['participant fan0000000f1', 'participant fan0000000f1']);
    a?.left('pool/a', true);
    const next = a?.gather(step(2, 1));
    expect(await outcome(next)).toBe('waits');
    b?.left('pool/a', true);
    expect(await outcome(b?.gather(step(2, 1)))).toBe('participant fan0000000f2');
    expect(await outcome(next)).toBe('participant fan0000000f2');
  });

  test('do not await a job again after a timeout, for any dataset, until it arrives', async () => {
    const clock = manualClock();
    const [a, b] = fanOut(2, 1000, clock);
    b?.planned(['pool/a', 'pool/b']);
    const first = a?.gather(step(1));
    await clock.advance(1000);
    expect(await outcome(first)).toBe('alone');
    a?.left('pool/a', true);
    expect(await outcome(a?.gather(step(2, 1))), 'the next step').toBe('alone');
    const other = { to: { name: 'pool/b@1', guid: '71' } };
    expect(await outcome(a?.gather(step(1, undefined, other))), 'another dataset').toBe('alone');
    a?.left('pool/a', true);
    // it arrives, one step behind: worth waiting for
    void b?.gather(step(2, 1));
    const third = a?.gather(step(3, 2));
    expect(await outcome(third)).toBe('waits');
    b?.left('pool/a', true);
    expect(await outcome(b?.gather(step(3, 2)))).toBe('participant fan0000000f1');
  });

  test('continue without a job that leaves, which then sends alone', async () => {
    const clock = manualClock();
    const [a, b, c] = fanOut(3, 60_000, clock);
    const sessions = [a?.gather(step(1)), b?.gather(step(1))];
    a?.left('pool/a', false);
    expect(await outcome(sessions[0])).toBe('alone');
    expect(await outcome(sessions[1])).toBe('waits');
    expect(await outcome(c?.gather(step(1)))).toBe('participant fan0000000f1');
    expect(clock.pending).toBe(1); // that of the session, for answers that never come
  });

  test('leave no timer after their end', () => {
    const clock = manualClock();
    const members = fanOut(2, 60_000, clock);
    void members[0]?.gather(step(1));
    for (const member of members) member.ended();
    expect(clock.pending).toBe(0);
  });
});
