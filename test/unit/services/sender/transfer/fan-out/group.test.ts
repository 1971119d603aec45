import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Step } from '../../../../../../schemas/plan.ts';
import { type FanMember, openFanOutGroup } from '../../../../../../services/sender/transfer/fan-out/group.ts';
import {
  away,
  coming,
  isAwaited,
  keyOf,
  type Place,
  patience,
} from '../../../../../../services/sender/transfer/fan-out/member-state.ts';
import type { Participant } from '../../../../../../services/sender/transfer/fan-out/session.ts';

const step = (to: number, from?: number, more: Partial<Step> = {}): Step => ({
  type: from === undefined ? 'full' : 'incremental',
  to: { name: `pool/a@${to}`, guid: `${to}` },
  ...(from !== undefined && { from: { name: `pool/a@${from}`, guid: `${from}`, kind: 'snapshot' } }),
  targetDataset: 'pool/a',
  ...more,
});

test.each<[string, Place, Step, boolean]>([
  ['one that plans, or is between two steps', coming, step(2, 1), true],
  ['one that brings what the step begins with', { is: 'sending', to: '1' }, step(2, 1), true],
  ['one that is further behind', { is: 'sending', to: '1' }, step(3, 2), false],
  ['one that sends the step itself already', { is: 'sending', to: '2' }, step(2, 1), false],
  ['one that waits for the same step', { is: 'waiting', key: '', to: '2' }, step(2, 1), false],
  ['one that waits to bring what it begins with', { is: 'waiting', key: '', to: '1' }, step(2, 1), true],
  ['one that has nothing to send', away, step(2, 1), false],
  ['one that sends, when the step is a full stream', { is: 'sending', to: '1' }, step(2), false],
])('%s: is it waited for?', (_what, place, next, awaited) => {
  expect(isAwaited(place, next)).toBe(awaited);
});

test('steps are one read only with the same snapshots, dataset and flags', () => {
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

test('one that goes alone is not waited for at that step, and is at the next', async () => {
  const [one, two] = fan(2);
  one?.planned(['pool/a']);
  two?.planned(['pool/a']);
  two?.alone(step(2, 1));
  expect(await one?.meet(step(2, 1))).toBeUndefined();
  one?.left('pool/a', true);
  const waits = one?.meet(step(3, 2));
  let met = false;
  void waits?.then(() => {
    met = true;
  });
  await Promise.resolve();
  expect(met).toBe(false);
  two?.left('pool/a', true);
  const other = two?.meet(step(3, 2));
  expect(await waits).toBeDefined();
  expect(await other).toBeDefined();
});

test('those who are ready wait no longer for a late one than the step before has taken, within reason', () => {
  expect([undefined, 0, 100, 1000, 60_000].map((before) => patience(before, 5000))).toEqual([
    5000, 250, 250, 1000, 5000,
  ]);
});

function fan(size: number, gatherMs = 60_000, now?: () => number): FanMember[] {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  // nothing is read: the participants are never taken
  const nothing = new Proxy({}, { get: () => expect.unreachable('nothing is read here') });
  const deps = { zfs: nothing as never, dataConnection: nothing as never, host: 'src' };
  return openFanOutGroup({ ...deps, id: 'fan0000000', size, gatherMs, answerMs: 60_000, ...(now && { now }) });
}

/** What became of a session so far. */
async function outcome(session: Promise<Participant | undefined> | undefined): Promise<string> {
  await Promise.resolve();
  const participant = await Promise.race([session, Promise.resolve('waits' as const)]);
  if (participant === 'waits') return 'waits';
  return participant ? `participant ${participant.id}` : 'alone';
}

describe('jobs that need the same step', () => {
  test('meet, and sit together, once all have come', async () => {
    const [a, b, c] = fan(3);
    const first = a?.meet(step(1));
    const second = b?.meet(step(1));
    expect(await outcome(first)).toBe('waits');
    const third = c?.meet(step(1));
    for (const session of [first, second, third]) expect(await outcome(session)).toBe('participant fan0000000f1');
  });

  test('where planning takes long, a late one is waited for three times as long as that', async () => {
    let time = 0;
    const [a, b] = fan(2, 5000, () => time);
    time = 4000;
    const first = a?.meet(step(1));
    vi.advanceTimersByTime(11_999);
    expect(await outcome(first)).toBe('waits');
    vi.advanceTimersByTime(1);
    expect(await outcome(first)).toBe('alone');
    expect(await outcome(b?.meet(step(1)))).toBe('alone');
  });

  test('a job that needs the step before is waited for, one that is further behind is not', async () => {
    const [a, b, c] = fan(3);
    const [first, second] = [a?.meet(step(2, 1)), b?.meet(step(2, 1))];
    expect(await outcome(first)).toBe('waits');
    expect(await outcome(c?.meet(step(1)))).toBe('alone');
    expect(await outcome(second)).toBe('waits');
    c?.left('pool/a', true);
    expect(await outcome(second)).toBe('waits');
    for (const session of [c?.meet(step(2, 1)), first, second])
      expect(await outcome(session)).toBe('participant fan0000000f1');
    a?.left('pool/a', true);
    b?.left('pool/a', true);
    expect(await outcome(a?.meet(step(4, 3)))).toBe('waits');
    expect(await outcome(b?.meet(step(4, 3)))).toBe('participant fan0000000f2');
  });

  test('nor one that plans nothing for the dataset, or has ended', async () => {
    const [a, b, c] = fan(3);
    const session = a?.meet(step(1));
    b?.planned(['pool/b']);
    expect(await outcome(session)).toBe('waits');
    c?.gone();
    expect(await outcome(session)).toBe('alone');
  });

  test('one that is planned is waited for, and one that comes too late goes alone', async () => {
    const [a, b, c] = fan(3, 1000);
    b?.planned(['pool/a']);
    const [first, second] = [a?.meet(step(1)), c?.meet(step(1))];
    await vi.advanceTimersByTimeAsync(999);
    expect(await outcome(first)).toBe('waits');
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome(first)).toBe('participant fan0000000f1');
    expect(await outcome(second)).toBe('participant fan0000000f1');
    expect(await outcome(b?.meet(step(1)))).toBe('alone');
  });

  test('meet again for the next step, in a read of its own', async () => {
    const [a, b] = fan(2);
    const firsts = [a?.meet(step(1)), b?.meet(step(1))];
    expect(await Promise.all(firsts.map(outcome))).toEqual(['participant fan0000000f1', 'participant fan0000000f1']);
    a?.left('pool/a', true);
    const next = a?.meet(step(2, 1));
    expect(await outcome(next)).toBe('waits');
    b?.left('pool/a', true);
    expect(await outcome(b?.meet(step(2, 1)))).toBe('participant fan0000000f2');
    expect(await outcome(next)).toBe('participant fan0000000f2');
  });

  test('one that was waited for in vain is waited for no more, of whatever dataset, until it comes', async () => {
    const [a, b] = fan(2, 1000);
    b?.planned(['pool/a', 'pool/b']);
    const first = a?.meet(step(1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await outcome(first)).toBe('alone');
    a?.left('pool/a', true);
    expect(await outcome(a?.meet(step(2, 1))), 'the next step').toBe('alone');
    const other = { to: { name: 'pool/b@1', guid: '71' } };
    expect(await outcome(a?.meet(step(1, undefined, other))), 'another dataset').toBe('alone');
    a?.left('pool/a', true);
    // it comes, one step behind: worth waiting for
    void b?.meet(step(2, 1));
    const third = a?.meet(step(3, 2));
    expect(await outcome(third)).toBe('waits');
    b?.left('pool/a', true);
    expect(await outcome(b?.meet(step(3, 2)))).toBe('participant fan0000000f1');
  });

  test('one that leaves while it waits goes alone, and the others are not held up by it', async () => {
    const [a, b, c] = fan(3);
    const sessions = [a?.meet(step(1)), b?.meet(step(1))];
    a?.left('pool/a', false);
    expect(await outcome(sessions[0])).toBe('alone');
    expect(await outcome(sessions[1])).toBe('waits');
    expect(await outcome(c?.meet(step(1)))).toBe('participant fan0000000f1');
    expect(vi.getTimerCount()).toBe(1); // that of the session, for answers that never come
  });

  test('nothing is left behind when all have gone', () => {
    const members = fan(2);
    void members[0]?.meet(step(1));
    for (const member of members) member.gone();
    expect(vi.getTimerCount()).toBe(0);
  });
});
