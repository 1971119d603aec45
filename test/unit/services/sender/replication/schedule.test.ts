import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import { type ErrorBody, ZpsendError } from '../../../../../schemas/errors.ts';
import { leafOf } from '../../../../../schemas/names.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import { type Moves, type Schedule, scheduleOf } from '../../../../../services/sender/replication/schedule.ts';
import { mentions } from '../../../../support/mentions.ts';

const broken = new ZpsendError('NO_SPACE', 'out of space').toBody();
const aborted = new ZpsendError('ABORTED', 'by request').toBody();
const guidOf = (name: string): string => String([...name].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 1e9, 7));

/** `full a@1`, `a@2`, or `b@1 < a@2`, a clone of a@2 on the target. Datasets `x` are `back/x` on the target. */
function stepOf(text: string): Step {
  const [words = '', origin] = text.split(' < ');
  const isFull = words.startsWith('full ');
  const name = words.replace('full ', '');
  const dataset = name.split('@')[0] ?? '';
  const from = origin ?? `${dataset}@before ${leafOf(name)}`;
  return {
    type: isFull ? 'full' : 'incremental',
    to: { name, guid: guidOf(name) },
    ...(!isFull && { from: { name: from, guid: guidOf(from), kind: 'snapshot' as const } }),
    targetDataset: `back/${dataset}`,
    ...(origin !== undefined && { origin: `back/${origin}` }),
  };
}
const chain = (...steps: string[]): DatasetPlan => {
  const all = steps.map(stepOf);
  const target = all[0]?.targetDataset ?? 'back/none';
  return { sourceDataset: target.replace('back/', ''), targetDataset: target, steps: all };
};
const names = (moves: Moves) => ({ start: moves.start, lost: moves.lost.map(({ chain }) => chain) });
const starts = (...start: number[]) => ({ start, lost: [] });
const none = starts();
const arrives = (schedule: Schedule, at: number, name: string) => names(schedule.arrived(at, guidOf(name)));

const renamed = (from: string, to: string, plan: DatasetPlan): DatasetPlan => {
  const [first, ...rest] = plan.steps;
  const before = { kind: 'rename' as const, from: `back/${from}`, to: `back/${to}`, guid: '9' };
  return { ...plan, steps: first ? [{ ...first, before }, ...rest] : [] };
};

describe('chains that wait for another chain’s renaming', () => {
  test('run below a dataset that follows its source, and at the name that it leaves', () => {
    const schedule = scheduleOf(
      [renamed('a', 'z', chain('z@2')), chain('full a@1'), chain('z/kid@2'), chain('b@2')],
      4,
    );
    expect(names(schedule.begin())).toEqual(starts(0, 3));
    expect(arrives(schedule, 0, 'z@2')).toEqual(starts(1, 2));
  });

  test('start as clones of a rotated dataset', () => {
    const schedule = scheduleOf(
      [renamed('a', 'a_diverged_1', chain('a@2 < a_diverged_1@1')), chain('c@2 < a_diverged_1@1'), chain('b@2')],
      4,
    );
    expect(names(schedule.begin())).toEqual(starts(0, 2));
    expect(arrives(schedule, 0, 'a@2')).toEqual(starts(1));
  });

  test('run first if they are planned first, under the old name of the dataset', () => {
    const schedule = scheduleOf([chain('c@2 < a@1'), renamed('a', 'a_diverged_1', chain('full a@1'))], 4);
    expect(names(schedule.begin())).toEqual(starts(0, 1));
  });
});

describe('independent chains', () => {
  const five = ['a', 'b', 'c', 'd', 'e'].map((name) => chain(`full ${name}@1`));

  test('run in the order of the plan, up to the limit at once', () => {
    const schedule = scheduleOf(five, 2);
    expect(names(schedule.begin())).toEqual(starts(0, 1));
    expect(arrives(schedule, 0, 'a@1'), 'a step that arrived makes no room').toEqual(none);
    expect(names(schedule.ended(1))).toEqual(starts(2));
    expect(names(schedule.ended(0))).toEqual(starts(3));
    expect(names(schedule.ended(3))).toEqual(starts(4));
    expect(schedule.isOver).toBe(false);
    for (const last of [2, 4]) expect(names(schedule.ended(last))).toEqual(none);
    expect(schedule.isOver).toBe(true);
  });

  test('do not stop if one fails', () => {
    const schedule = scheduleOf(five, 1);
    schedule.begin();
    for (const next of [1, 2, 3, 4]) expect(names(schedule.ended(next - 1, broken))).toEqual(starts(next));
  });

  test('include an increment below another increment', () => {
    expect(names(scheduleOf([chain('a@2'), chain('a/b@2')], 2).begin())).toEqual(starts(0, 1));
  });

  test('exclude a dataset without steps, which blocks no chain', () => {
    const empty: DatasetPlan = { sourceDataset: 'a', targetDataset: 'back/a', steps: [] };
    const schedule = scheduleOf([empty, chain('full a/b@1')], 4);
    expect(names(schedule.begin())).toEqual(starts(1));
    schedule.ended(1);
    expect(schedule.isOver).toBe(true);
    expect(scheduleOf([empty], 1).isOver).toBe(true);
  });
});

describe('a new dataset', () => {
  test('waits only for the first snapshot of the dataset above it', () => {
    const schedule = scheduleOf([chain('full a@1', 'a@2'), chain('full a/b@1'), chain('full a/b/c@1')], 4);
    expect(names(schedule.begin())).toEqual(starts(0));
    expect(arrives(schedule, 0, 'a@1')).toEqual(starts(1));
    expect(arrives(schedule, 1, 'a/b@1')).toEqual(starts(2));
  });

  test('waits for the nearest planned dataset above it, if the receiver creates those between', () => {
    const schedule = scheduleOf([chain('full a@1'), chain('full a/x/y/b@1')], 4);
    expect(names(schedule.begin())).toEqual(starts(0));
    expect(arrives(schedule, 0, 'a@1')).toEqual(starts(1));
  });

  test('does not wait for an existing dataset above it', () => {
    expect(names(scheduleOf([chain('a@2'), chain('full a/b@1')], 4).begin())).toEqual(starts(0, 1));
  });

  test('starts with any first snapshot of the dataset above it, which may have been replanned', () => {
    const schedule = scheduleOf([chain('full a@1', 'a@2'), chain('full a/b@1')], 4);
    schedule.begin();
    expect(arrives(schedule, 0, 'a@7')).toEqual(starts(1));
  });
});

describe('a clone', () => {
  const plan = [chain('full a@1', 'a@2', 'a@3'), chain('b@1 < a@2', 'b@2'), chain('c@1 < b@1')];

  test('waits for its origin', () => {
    const schedule = scheduleOf(plan, 4);
    expect(names(schedule.begin())).toEqual(starts(0));
    expect(arrives(schedule, 0, 'a@1')).toEqual(none);
    expect(arrives(schedule, 0, 'a@2')).toEqual(starts(1));
    expect(arrives(schedule, 0, 'a@3')).toEqual(none);
    expect(arrives(schedule, 1, 'b@1')).toEqual(starts(2));
  });

  test('waits for both its origin and the dataset above it, in any order', () => {
    const both = [chain('full a@1', 'a@2'), chain('full p@1'), chain('p/b@1 < a@2')];
    for (const [one, two] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const schedule = scheduleOf(both, 4);
      expect(names(schedule.begin())).toEqual(starts(0, 1));
      expect(names(schedule.ended(one))).toEqual(none);
      expect(names(schedule.ended(two))).toEqual(starts(2));
    }
  });

  test('waits for nothing if the target has its origin', () => {
    expect(names(scheduleOf([chain('a@3'), chain('b@1 < a@2')], 4).begin())).toEqual(starts(0, 1));
  });

  test('of another dataset’s snapshot with the same guid does not wait for this one', () => {
    const elsewhere = { ...stepOf('b@1 < a@2'), origin: 'back/old@2' };
    const plan = [chain('full a@1', 'a@2'), { ...chain('b@1'), steps: [elsewhere] }];
    expect(names(scheduleOf(plan, 4).begin())).toEqual(starts(0, 1));
  });

  test('starts when the chain of its origin has succeeded, also without a report of the snapshot', () => {
    const schedule = scheduleOf(plan, 4);
    schedule.begin();
    expect(names(schedule.ended(0))).toEqual(starts(1));
  });

  test('is not blocked by a failure after its origin arrived', () => {
    const schedule = scheduleOf(plan, 1);
    schedule.begin();
    arrives(schedule, 0, 'a@2');
    expect(names(schedule.ended(0, broken))).toEqual(starts(1));
  });
});

describe('a chain that waits for another chain’s key', () => {
  const plan = [chain('a@2', 'a@3'), { ...chain('a/b@2'), keyFrom: 'a' }, chain('full a/b/c@1'), chain('d@2')];

  test('starts with any first snapshot of that chain', () => {
    const schedule = scheduleOf(plan, 4);
    expect(names(schedule.begin())).toEqual(starts(0, 2, 3));
    expect(arrives(schedule, 0, 'a@7')).toEqual(starts(1));
    expect(names(schedule.ended(0))).toEqual(none);
  });

  test('is lost if that chain succeeded without a snapshot: its snapshots vanished', () => {
    const schedule = scheduleOf(plan, 1);
    expect(names(schedule.begin())).toEqual(starts(0));
    const { start, lost } = schedule.ended(0);
    expect(start).toEqual([2]);
    expect(lost.map(({ chain }) => chain)).toEqual([1]);
    expect(lost[0]?.error).toMatchObject({ code: 'KEY_MISMATCH', details: { needs: 'a' } });
    for (const last of [2, 3]) schedule.ended(last);
    expect(schedule.isOver).toBe(true);
  });
});

describe('a chain that needs a failed chain', () => {
  const plan = [
    chain('full a@1', 'a@2'),
    chain('full a/b@1'),
    chain('full a/b/c@1'),
    chain('d@1 < a@2'),
    chain('full e@1'),
  ];

  test('is lost, and so are those that need it, with the code and name of the failed chain; others run', () => {
    const schedule = scheduleOf(plan, 1);
    schedule.begin();
    const { start, lost } = schedule.ended(0, broken);
    expect(start).toEqual([4]);
    expect(lost.map(({ chain }) => chain).sort()).toEqual([1, 2, 3]);
    for (const { chain, error } of lost) {
      expect(error).toMatchObject({ code: 'NO_SPACE', retryable: false, details: { needs: 'a' } });
      expect(error.message).toEqual(mentions(`${plan[chain]?.sourceDataset}`, 'a', 'out of space'));
    }
    schedule.ended(4);
    expect(schedule.isOver).toBe(true);
  });

  test('is lost only if it still needs it', () => {
    const schedule = scheduleOf(plan, 1);
    schedule.begin();
    arrives(schedule, 0, 'a@1');
    expect(names(schedule.ended(0, broken))).toEqual({ start: [4], lost: [3] });
  });
});

test('after an abort no chain starts, and the remaining chains are lost with its reason', () => {
  const schedule = scheduleOf([chain('full a@1'), chain('full a/b@1'), chain('full c@1'), chain('full d@1')], 2);
  expect(names(schedule.begin())).toEqual(starts(0, 2));
  expect(schedule.abort(aborted).lost).toEqual([1, 3].map((chain) => ({ chain, error: aborted })));
  expect(arrives(schedule, 0, 'a@1')).toEqual(none);
  expect(names(schedule.ended(0, aborted))).toEqual(none);
  expect(schedule.isOver).toBe(false);
  expect(names(schedule.ended(2, aborted))).toEqual(none);
  expect(schedule.isOver).toBe(true);
});

/** Runs a whole plan, and gives the order in which chains began and ended. */
function play(plan: readonly DatasetPlan[], limit: number, fate: (chain: number) => ErrorBody | undefined) {
  const schedule = scheduleOf(plan, limit);
  const began: number[] = [];
  const lost: number[] = [];
  const running: number[] = [];
  const act = (moves: Moves) => {
    began.push(...moves.start);
    running.push(...moves.start);
    for (const { chain } of moves.lost) lost.push(chain);
    expect(running.length).toBeLessThanOrEqual(limit);
  };
  act(schedule.begin());
  for (let chain = running.shift(); chain !== undefined; chain = running.shift()) {
    const error = fate(chain);
    const steps = error ? [] : (plan[chain]?.steps ?? []);
    // later ones run beside it
    running.unshift(chain);
    for (const { to } of steps) act(schedule.arrived(chain, to.guid));
    running.shift();
    act(schedule.ended(chain, error));
  }
  expect(schedule.isOver).toBe(true);
  return { began, lost };
}

test('under any plan and failures each chain is started once or lost once, after the chains that it needs', () => {
  const plans = fc.array(fc.record({ parent: fc.nat(), origin: fc.option(fc.nat()), steps: fc.nat(3) }), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(
      plans,
      fc.integer({ min: 1, max: 5 }),
      fc.func(fc.integer({ min: 0, max: 5 })),
      (shape, limit, luck) => {
        const datasets: string[] = [];
        const needs: number[][] = [];
        const plan = shape.map(({ parent, origin, steps }, at) => {
          const above = at === 0 ? undefined : parent % (at + 1);
          const name = above === undefined || above === at ? `d${at}` : `${datasets[above]}/d${at}`;
          datasets.push(name);
          const clone = origin === null || at === 0 ? undefined : origin % at;
          needs.push([
            ...(above === undefined || above === at ? [] : [above]),
            ...(clone === undefined ? [] : [clone]),
          ]);
          const rest = Array.from({ length: steps }, (_, n) => `${name}@${n + 2}`);
          return chain(clone === undefined ? `full ${name}@1` : `${name}@1 < ${datasets[clone]}@1`, ...rest);
        });
        const fails = (at: number) => luck(at) === 0;
        const { began, lost } = play(plan, limit, (at) => (fails(at) ? broken : undefined));
        expect([...began, ...lost].sort((a, b) => a - b)).toEqual([...plan.keys()]);
        const doomed = new Set<number>();
        for (const at of plan.keys()) if (fails(at) || needs[at]?.some((need) => doomed.has(need))) doomed.add(at);
        expect(new Set([...lost, ...began.filter(fails)])).toEqual(doomed);
        for (const [when, at] of began.entries())
          for (const need of needs[at] ?? []) expect(began.indexOf(need)).toBeLessThan(when);
      },
    ),
    { numRuns: 300 },
  );
});

test.each([
  ['side by side below one', (n: number) => `full a/d${n}@1`],
  ['each below the one before', (n: number) => `full a${'/d'.repeat(n % 120)}/e${n}@1`],
  ['each a clone of the one before', (n: number) => (n === 0 ? 'full a/c0@1' : `a/c${n}@1 < a/c${n - 1}@1`)],
  ['all clones of snapshots of one', (n: number) => `a/c${n}@1 < a@${n}`],
])('ten thousand datasets, %s, are run, or lost, one after the other', (_what, step) => {
  const count = 10_000;
  const root = chain('full a@first', ...Array.from({ length: count }, (_, n) => `a@${n}`));
  const plan = [root, ...Array.from({ length: count }, (_, n) => chain(step(n)))];
  expect(play(plan, 4, () => undefined).began).toHaveLength(count + 1);
  expect(play(plan, 4, (at) => (at === 0 ? broken : undefined)).lost).toHaveLength(count);
});
