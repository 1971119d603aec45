import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  deadlineOf,
  type LeaseEffect,
  type LeaseEvent,
  type LeaseState,
  mayAct,
  stepLease,
  timesFor,
} from '../../../../../lib/bus/locks/lease-state.ts';
import { timing } from '../../../../../lib/time/timing.ts';

const times = timesFor(30_000);

type StateName = 'idle' | 'renewing' | 'in doubt' | 'renewing in doubt' | 'lost';
type EventName =
  | 'early tick'
  | 'due tick'
  | 'late tick'
  | 'renewed'
  | 'unclear'
  | 'refused'
  | 'read: ours, same'
  | 'read: ours, newer'
  | 'read: other'
  | 'read: unknown';

const held = { held: true, revision: 7, since: 1000 } as const;
const states: Record<StateName, LeaseState> = {
  idle: held,
  renewing: { ...held, asked: 11_000, unsure: 11_000 },
  'in doubt': { ...held, unsure: 11_000 },
  'renewing in doubt': { ...held, asked: 14_000, unsure: 11_000 },
  lost: { held: false },
};
const events: Record<EventName, LeaseEvent> = {
  'early tick': { type: 'tick', now: 2499 },
  'due tick': { type: 'tick', now: 15_000 },
  'late tick': { type: 'tick', now: 26_000 },
  renewed: { type: 'renewed', revision: 8 },
  unclear: { type: 'unclear' },
  refused: { type: 'refused' },
  'read: ours, same': { type: 'read', found: 'ours', revision: 7 },
  'read: ours, newer': { type: 'read', found: 'ours', revision: 8 },
  'read: other': { type: 'read', found: 'other' },
  'read: unknown': { type: 'read', found: 'unknown' },
};

type Cell = readonly [LeaseState, LeaseEffect?];
const lost: Cell = [states.lost, 'lost'];
const same = (name: StateName): Cell => [states[name]];

const table: Record<StateName, Record<EventName, Cell>> = {
  idle: {
    'early tick': same('idle'),
    'due tick': [{ ...held, asked: 15_000, unsure: 15_000 }, 'renew'],
    'late tick': lost,
    renewed: [{ ...held, revision: 8 }],
    unclear: [states.idle, 'read'],
    refused: [states.idle, 'read'],
    'read: ours, same': same('idle'),
    'read: ours, newer': [{ ...held, revision: 8 }],
    'read: other': lost,
    'read: unknown': same('idle'),
  },
  renewing: {
    'early tick': same('renewing'),
    'due tick': same('renewing'),
    'late tick': lost,
    renewed: [{ held: true, revision: 8, since: 11_000 }],
    unclear: [states.renewing, 'read'],
    refused: lost,
    'read: ours, same': same('in doubt'),
    'read: ours, newer': [{ held: true, revision: 8, since: 11_000 }],
    'read: other': lost,
    'read: unknown': same('in doubt'),
  },
  'in doubt': {
    'early tick': same('in doubt'),
    'due tick': [{ ...held, asked: 15_000, unsure: 11_000 }, 'renew'],
    'late tick': lost,
    renewed: [{ ...held, revision: 8 }],
    unclear: [states['in doubt'], 'read'],
    refused: [states['in doubt'], 'read'],
    'read: ours, same': same('in doubt'),
    'read: ours, newer': [{ held: true, revision: 8, since: 11_000 }],
    'read: other': lost,
    'read: unknown': same('in doubt'),
  },
  'renewing in doubt': {
    'early tick': same('renewing in doubt'),
    'due tick': same('renewing in doubt'),
    'late tick': lost,
    renewed: [{ held: true, revision: 8, since: 14_000 }],
    unclear: [states['renewing in doubt'], 'read'],
    refused: [states['renewing in doubt'], 'read'],
    'read: ours, same': same('in doubt'),
    'read: ours, newer': [{ held: true, revision: 8, since: 11_000 }],
    'read: other': lost,
    'read: unknown': same('in doubt'),
  },
  lost: {
    'early tick': same('lost'),
    'due tick': same('lost'),
    'late tick': same('lost'),
    renewed: same('lost'),
    unclear: same('lost'),
    refused: same('lost'),
    'read: ours, same': same('lost'),
    'read: ours, newer': same('lost'),
    'read: other': same('lost'),
    'read: unknown': same('lost'),
  },
};

describe.each(Object.entries(table))('a lease that is %s', (state, row) => {
  test.each(Object.entries(row))('after %s', (event, cell) => {
    expect(stepLease(states[state as StateName], events[event as EventName], times)).toEqual(cell);
  });
});

test('a receive has time to end before another holder can take the lock', () => {
  expect(timesFor(30_000).margin).toBe(5000);
  expect(timesFor(4000).margin).toBe(1000);
  expect(deadlineOf(held, times)).toBe(26_000);
});

test.each<[string, LeaseState, number, number, boolean]>([
  ['was just renewed', held, 30_000, 1000, true],
  ['was renewed lately', held, 30_000, 999 + timing.locks.actsWithinMs, true],
  ['should have been renewed by now', held, 30_000, 1000 + timing.locks.actsWithinMs, false],
  ['is at its deadline', held, 2000, 2500, false],
  ['is before its deadline', held, 2000, 2499, true],
  ['waits for the answer to a renewal', states.renewing, 30_000, 1001 + timing.locks.actsWithinMs, false],
  ['is lost', states.lost, 30_000, 1000, false],
])('a lease that %s: may its holder act?', (_what, state, ttl, now, expected) => {
  expect(mayAct(state, timesFor(ttl), now)).toBe(expected);
});

interface Renewal {
  readonly sent: number;
  readonly expects: number;
  /** The timestamp of the server's leader, from which the time to live counts. */
  stamped?: number;
  fate?: 'stored' | 'refused';
}

type Move =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'stamp' | 'store' | 'answer' | 'lose'; readonly which: number };

const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 6000 }) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom('stamp' as const, 'store' as const, 'answer' as const, 'lose' as const),
        which: fc.nat(),
      }),
    },
  ),
  { minLength: 40, maxLength: 80 },
);

/** A server that stamps, stores and answers at any time, and a lease that receives the answers late or never. */
function play(schedule: readonly Move[]): { held: number; renewed: number } {
  let now = 0;
  let state: LeaseState = { held: true, revision: 1, since: 0 };
  const server = { revision: 1, stored: 0 };
  const sent: Renewal[] = [];
  let waiting: Renewal | 'read' | undefined;
  let renewed = 0;

  const feed = (event: LeaseEvent): void => {
    const [next, effect] = stepLease(state, event, times);
    state = next;
    if (effect === 'renew' && state.held) {
      waiting = { sent: now, expects: state.revision };
      sent.push(waiting);
    } else if (effect === 'read') waiting = 'read';
  };
  const handle = (move: Move): void => {
    if (move.kind === 'pass') {
      now += move.ms;
      feed({ type: 'tick', now });
      return;
    }
    const open = sent.filter((renewal) => !renewal.fate);
    const some = open[move.which % Math.max(1, open.length)];
    if (move.kind === 'stamp' && some) some.stamped ??= now;
    if (move.kind === 'store' && some?.stamped !== undefined) {
      some.fate = some.expects === server.revision ? 'stored' : 'refused';
      if (some.fate === 'stored') Object.assign(server, { revision: server.revision + 1, stored: some.stamped });
    }
    if (move.kind === 'lose' && waiting) {
      const event: LeaseEvent = waiting === 'read' ? { type: 'read', found: 'unknown' } : { type: 'unclear' };
      waiting = undefined;
      feed(event);
    }
    if (move.kind === 'answer' && waiting) {
      const asked = waiting;
      if (asked !== 'read' && !asked.fate) return;
      waiting = undefined;
      if (asked === 'read') feed({ type: 'read', found: 'ours', revision: server.revision });
      else if (asked.fate === 'stored') feed({ type: 'renewed', revision: server.revision });
      else feed({ type: 'refused' });
    }
  };

  let steps = 0;
  for (const move of schedule) {
    const before = state.held ? state.since : 0;
    handle(move);
    if (!state.held) break;
    steps += 1;
    if (state.since > before) renewed += 1;
    expect(state.since, 'a lease never counts from later than the server does').toBeLessThanOrEqual(server.stored);
    if (move.kind === 'pass') expect(now).toBeLessThan(server.stored + times.ttl - times.margin);
  }
  return { held: steps, renewed };
}

test('I13: a lease ends before the server gives the lock to another holder, for any lost or late messages', () => {
  let renewals = 0;
  fc.assert(
    fc.property(moves, (schedule) => {
      renewals += play(schedule).renewed;
    }),
    { numRuns: 3000 },
  );
  expect(renewals, 'schedules in which renewals succeed').toBeGreaterThan(100);
});

test('a server that answers keeps the lease forever', () => {
  let state: LeaseState = { held: true, revision: 1, since: 0 };
  for (let now = 0; now < 1_000_000; now += 500) {
    const [next, effect] = stepLease(state, { type: 'tick', now }, times);
    state = next;
    if (effect === 'renew' && state.held)
      [state] = stepLease(state, { type: 'renewed', revision: state.revision + 1 }, times);
    expect(state.held).toBe(true);
  }
});
