import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dueOf,
  fresh,
  next,
  type PolicyTarget,
  type TargetEvent,
  type TargetTimes,
  targetBackOff,
} from '../../../../../services/sender/policies/target-state.ts';

const times: TargetTimes = { quiet: 30, mostQuiet: 1000, reconcile: 600_000, silence: 3000 };
const now = 10_000;

type Phase = PolicyTarget['phase'];
/** Each waits for something that is still to come. */
const policyTargets: Record<Phase, PolicyTarget> = {
  resting: { phase: 'resting', due: 50_000 },
  settling: { phase: 'settling', since: 9990, due: 10_020, tries: 2 },
  running: { phase: 'running', dirty: false, tries: 2 },
  elsewhere: { phase: 'elsewhere', dirty: false, due: 12_000 },
  waiting: { phase: 'waiting', due: 12_000, tries: 2 },
};

const settling = (due: number, tries = 0): PolicyTarget => ({ phase: 'settling', since: now, due, tries });
const elsewhere = (dirty: boolean): PolicyTarget => ({ phase: 'elsewhere', dirty, due: now + 3000 });
const resting: PolicyTarget = { phase: 'resting', due: now + 600_000 };
const same = Symbol('as it was');

type Said = 'trigger' | 'wake' | 'done' | 'passing' | 'refused' | 'other-runs' | 'other-over';
const eventOf = (said: Said): TargetEvent =>
  said === 'done' || said === 'passing' || said === 'refused'
    ? { type: 'ended', outcome: said, now }
    : { type: said, now };

const table: Record<Phase, Record<Said, PolicyTarget | typeof same>> = {
  resting: {
    trigger: settling(now + 30),
    wake: same,
    done: same,
    passing: same,
    refused: same,
    'other-runs': elsewhere(false),
    'other-over': same,
  },
  settling: {
    trigger: { phase: 'settling', since: 9990, due: now + 30, tries: 2 },
    wake: same,
    done: same,
    passing: same,
    refused: same,
    'other-runs': elsewhere(true),
    'other-over': same,
  },
  running: {
    trigger: { phase: 'running', dirty: true, tries: 2 },
    wake: same,
    done: resting,
    passing: { phase: 'waiting', tries: 3, due: now + 4000 },
    refused: resting,
    'other-runs': same,
    'other-over': same,
  },
  elsewhere: {
    trigger: { phase: 'elsewhere', dirty: true, due: 12_000 },
    wake: same,
    done: same,
    passing: same,
    refused: same,
    'other-runs': elsewhere(false),
    'other-over': resting,
  },
  waiting: {
    trigger: settling(now + 30, 2),
    wake: same,
    done: same,
    passing: same,
    refused: same,
    'other-runs': elsewhere(true),
    'other-over': same,
  },
};

describe.each(Object.keys(table) as Phase[])('a policy target that is %s', (phase) => {
  test.each(Object.entries(table[phase]))('handles the event: %s', (said, expected) => {
    const { policyTarget, start } = next(policyTargets[phase], eventOf(said as Said), times);
    expect(policyTarget).toEqual(expected === same ? policyTargets[phase] : expected);
    expect(start).toBe(false);
  });

  test('starts a run at its time, if it waits for a time', () => {
    const { policyTarget, start } = next(
      policyTargets[phase],
      { type: 'wake', now: dueOf(policyTargets[phase]) ?? now },
      times,
    );
    expect(start).toBe(phase !== 'running');
    expect(policyTarget).toEqual({ phase: 'running', dirty: false, tries: 'tries' in policyTargets[phase] ? 2 : 0 });
  });
});

const play = (policyTarget: PolicyTarget, ...events: TargetEvent[]): PolicyTarget =>
  events.reduce((at, event) => next(at, event, times).policyTarget, policyTarget);

test('repeated triggers delay a run by at most a second', () => {
  let policyTarget = play({ phase: 'resting', due: 50_000 }, { type: 'trigger', now: 0 });
  for (let at = 10; at < 2000; at += 10) {
    const due = dueOf(policyTarget) ?? 0;
    if (due <= at) {
      expect(at).toBe(1000);
      return;
    }
    policyTarget = play(policyTarget, { type: 'trigger', now: at });
  }
  throw new Error('it never began');
});

test('triggers during a run cause one more run, whose failures are counted from zero', () => {
  const ended = play(policyTargets.running, { type: 'trigger', now }, { type: 'trigger', now }, eventOf('done'));
  expect(ended).toEqual(settling(now + 30));
  expect(play(policyTargets.running, { type: 'trigger', now }, eventOf('refused'))).toEqual(settling(now + 30));
});

test('a trigger during a failed run does not hasten the next', () => {
  expect(play(policyTargets.running, { type: 'trigger', now }, eventOf('passing'))).toMatchObject({ phase: 'waiting' });
});

test('a trigger is kept while another sender runs, and a silent sender’s run is taken over', () => {
  expect(play(policyTargets.elsewhere, { type: 'trigger', now }, eventOf('other-over'))).toEqual(settling(now + 30));
  expect(next(policyTargets.elsewhere, { type: 'wake', now: 12_000 }, times).start).toBe(true);
});

test.each<[Phase, number, number]>([
  ['resting', 10, now + 10],
  ['resting', 600_000, 50_000],
  ['settling', 10, 10_020],
  ['elsewhere', 10, 12_000],
  ['waiting', 10, 12_000],
])('of a new interval a target that is %s rests no longer than that: %i ms', (phase, reconcile, due) => {
  const { policyTarget, start } = next(policyTargets[phase], { type: 'interval', now }, { ...times, reconcile });
  expect([policyTarget, start]).toEqual([{ ...policyTargets[phase], due }, false]);
});

test('a running target keeps running when the interval changes', () => {
  expect(play(policyTargets.running, { type: 'interval', now })).toEqual(policyTargets.running);
});

test('the delays after failures grow from one second to five minutes', () => {
  expect([1, 2, 3, 9, 10, 10_000].map(targetBackOff)).toEqual([1000, 2000, 4000, 256_000, 300_000, 300_000]);
});

test('a new policy target starts at its time, or right after a trigger', () => {
  expect(dueOf(fresh(now, now + 5000))).toBe(now + 5000);
  expect(dueOf(play(fresh(now, now + 5000), { type: 'trigger', now: now + 100 }))).toBe(now + 130);
});

test('under any events an idle target waits for a time, and a later run follows each trigger', () => {
  const said = fc.constantFrom<Said>('trigger', 'wake', 'done', 'passing', 'refused', 'other-runs', 'other-over');
  fc.assert(
    fc.property(fc.array(fc.record({ said, after: fc.nat(5000) }), { maxLength: 60 }), (events) => {
      let policyTarget: PolicyTarget = fresh(0, 1000);
      let at = 0;
      let owed = true;
      const tell = (event: TargetEvent): void => {
        const after = next(policyTarget, event, times);
        policyTarget = after.policyTarget;
        if (after.start) owed = false;
        if (event.type === 'trigger') owed = true;
        if (policyTarget.phase !== 'running')
          expect(dueOf(policyTarget)).toBeLessThanOrEqual(event.now + times.reconcile);
      };
      for (const { said: what, after } of events) {
        at += after;
        const event = { ...eventOf(what), now: at };
        tell(event);
      }
      // from here on no other event comes, and every run succeeds
      for (let turn = 0; owed && turn < 10; turn += 1) {
        if (policyTarget.phase === 'running') tell({ type: 'ended', outcome: 'done', now: at });
        at = Math.max(at, dueOf(policyTarget) ?? at);
        expect(policyTarget.phase).not.toBe('resting');
        tell({ type: 'wake', now: at });
      }
      expect(owed).toBe(false);
    }),
  );
});
