import { errors } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { openRefusal } from '../../../../../lib/bus/connection/refusal.ts';
import {
  neverRefused,
  type RefusalEffect,
  type RefusalEvent,
  type RefusalState,
  stepRefusal,
  waitMs,
} from '../../../../../lib/bus/connection/refusal-state.ts';
import { systemClock } from '../../../../../lib/time/clock.ts';
import { mentions } from '../../../../support/mentions.ts';

const refused = { since: 1000, last: 50_000, tries: 9 };
const states: Record<'accepted' | 'refused', RefusalState> = { accepted: neverRefused, refused: { refused } };

const table: [keyof typeof states, string, RefusalEvent, RefusalState, RefusalEffect[]][] = [
  ['accepted', 'is connected', { type: 'connected' }, neverRefused, []],
  ['accepted', 'is refused', { type: 'refused', now: 7 }, { refused: { since: 7, last: 7, tries: 1 } }, ['log']],
  ['refused', 'is connected', { type: 'connected' }, neverRefused, ['log-accepted']],
  [
    'refused',
    'is refused again',
    { type: 'refused', now: 60_999 },
    { refused: { ...refused, last: 60_999, tries: 10 } },
    [],
  ],
  [
    'refused',
    'is refused for a minute',
    { type: 'refused', now: 61_000 },
    { refused: { ...refused, last: 61_000, tries: 10 } },
    ['give-up'],
  ],
  [
    'refused',
    'is refused again by a server that was away meanwhile',
    { type: 'refused', now: 90_000 },
    { refused: { since: 90_000, last: 90_000, tries: 1 } },
    ['log'],
  ],
];

test.each(table)('a service that is %s and %s', (state, _what, event, next, effects) => {
  expect(stepRefusal(states[state], event)).toEqual([next, ...effects]);
});

test('the delay between attempts grows for all connections together, up to ten seconds', () => {
  const after = (tries: number) => waitMs({ refused: { ...refused, tries } });
  expect([1, 2, 3, 4, 5, 100].map(after)).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
  expect(waitMs(neverRefused)).toBe(500);
});

describe('the connections of one process', () => {
  function useRefusal() {
    const logged: string[] = [];
    let now = 0;
    const refusal = openRefusal({
      words: (thrown) => `refused: ${(thrown as Error).message}`,
      log: (event, text) => logged.push(`${event}: ${text}`),
      clock: { ...systemClock, now: () => now },
    });
    return { refusal, logged, pass: (ms: number) => (now += ms) };
  }
  const violation = new errors.AuthorizationError('Authorization Violation');

  test('log one refusal for all of them, and end after a minute of refusals', async () => {
    const { refusal, logged, pass } = useRefusal();
    for (let tries = 0; tries < 6; tries += 1) {
      for (let connection = 0; connection < 3; connection += 1) expect(refusal.failed(violation)).toBe(true);
      pass(10_000);
    }
    expect(logged).toEqual([expect.stringMatching(/^nats\.refused: /)]);
    expect(refusal.isRefused).toBe(true);
    refusal.failed(violation);
    expect(await refusal.over).toMatchObject({ code: 'NOT_ALLOWED', message: mentions('60 s') });
  });

  test('continue when they are accepted again, and do not count other failures as refusals', () => {
    const { refusal, logged, pass } = useRefusal();
    expect(refusal.failed(new Error('connection refused'))).toBe(false);
    // a server that is overloaded
    expect(refusal.failed(new errors.AuthorizationError('Authentication Timeout'))).toBe(false);
    refusal.connected();
    expect(logged).toEqual([]);
    refusal.failed(new errors.UserAuthenticationExpiredError('User Authentication Expired'));
    pass(20_000);
    refusal.connected();
    pass(10_000);
    refusal.failed(violation);
    expect(logged.map((line) => line.split(':')[0])).toEqual(['nats.refused', 'nats.accepted', 'nats.refused']);
  });
});
