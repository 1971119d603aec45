import { describe, expect, test } from 'vitest';
import { leastPayload, payloadTrouble } from '../../../../../lib/bus/connection/payload.ts';
import { codes } from '../../../../../schemas/error-codes.ts';
import { type Code, type ErrorDetails, ZpsendError } from '../../../../../schemas/errors.ts';
import {
  backOff,
  type Holder,
  holderIn,
  isPassing,
  isQueued,
  isRival,
  remedies,
  remedyOf,
} from '../../../../../services/sender/replication/error-policy.ts';

test.each(Object.keys(codes) as Code[])('%s has a remedy that fits its kind', (code) => {
  const patient = ['wait', 'wait-replan', 'discard'];
  if (codes[code].kind === 'retryable') expect(patient).toContain(remedies[code]);
  else expect(['fail', 'replan']).toContain(remedies[code]);
});

test('a failure that the pool, the permissions or the user must fix ends the job', () => {
  for (const code of ['NOT_ALLOWED', 'NO_SPACE', 'MODIFIED', 'KEY_REQUIRED', 'UNSUPPORTED', 'ABORTED'] as const) {
    expect(remedies[code]).toBe('fail');
  }
});

test('a NATS server with a small message limit ends no job: it continues when the limit is raised', () => {
  const small = payloadTrouble({ maxPayload: 1000, server: 'nats-1:4222' })?.toBody();
  expect(small && [remedyOf(small), isPassing(small)]).toEqual(['wait-replan', true]);
  const other = new ZpsendError('UNSUPPORTED', 'x', { dataset: 'tank/a' }).toBody();
  expect([remedyOf(other), isPassing(other)]).toEqual(['fail', false]);
  for (const code of Object.keys(codes) as Code[]) expect(remedyOf({ code })).toBe(remedies[code]);
  expect(payloadTrouble({ maxPayload: leastPayload, server: 'nats-1:4222' })).toBeUndefined();
});

test('a first listing is retried after a passing failure; no reply at the start means a wrong name', () => {
  const passing = (Object.keys(codes) as Code[]).filter((code) => isPassing({ code }));
  expect(passing).toEqual(['LOCKED', 'BUSY', 'STREAM_BROKEN', 'RESUME_STALE', 'TIMEOUT']);
  expect(isPassing({ code: 'UNREACHABLE', details: { reason: 'connection-lost' } })).toBe(true);
});

test('a full receiver differs from other BUSY errors by its reason', () => {
  const busy = (details?: ErrorDetails) => new ZpsendError('BUSY', 'x', details).toBody();
  expect(isQueued(busy({ reason: 'queued' }))).toBe(true);
  expect(isQueued(busy())).toBe(false);
  expect(isQueued(busy({ dataset: 'tank/a' }))).toBe(false);
  expect(isQueued({ ...busy({ reason: 'queued' }), code: 'LOCKED' })).toBe(false);
});

test('the waits grow from a quarter of a second to three seconds', () => {
  expect([0, 1, 2, 3, 4, 5, 40].map(backOff)).toEqual([250, 500, 1000, 2000, 3000, 3000, 3000]);
});

describe('the holder of a lock', () => {
  const refusal = (details?: Record<string, string | number>) => new ZpsendError('LOCKED', 'x', details).toBody();

  test('is read from a refusal', () => {
    const details = { transfer: 'other1', life: 3, by: 'i1', dataset: 'tank/a' };
    expect(holderIn(refusal(details))).toEqual({ transfer: 'other1', life: 3, by: 'i1' });
    // if another instance has it, only its lock names it
    const hashed = { transferHash: '0123456789abcdef', life: 3, by: 'i1' };
    expect(holderIn(refusal(hashed))).toEqual({ transfer: '0123456789abcdef', life: 3, by: 'i1' });
  });

  test.each([
    refusal(),
    refusal({ transfer: 'other1' }),
    refusal({ transfer: 'other1', life: '3' }),
    refusal({ life: 3, by: 'i1' }),
    new ZpsendError('BUSY', 'x', { transfer: 'other1', life: 3, by: 'i1' }).toBody(),
  ])('is undefined for %j', (error) => expect(holderIn(error)).toBeUndefined());

  const before: Holder = { transfer: 'other1', life: 3, by: 'i1' };
  const others = () => false;

  test('is a rival if it makes progress', () => {
    expect(isRival(before, { ...before, life: 4 }, others)).toBe(true);
  });

  test.each<[string, Holder | undefined, Holder | undefined]>([
    ['is unknown before', undefined, before],
    ['is gone', before, undefined],
    ['makes no progress', before, before],
    ['counts backwards', before, { ...before, life: 2 }],
    ['is another transfer', before, { ...before, transfer: 'other2', life: 4 }],
    ['is reported by another instance', before, { ...before, by: 'i2', life: 4 }],
  ])('that %s is no rival', (_what, one, two) => expect(isRival(one, two, others)).toBe(false));

  test('is no rival if it is our own earlier transfer', () => {
    expect(isRival(before, { ...before, life: 4 }, (transfer) => transfer === 'other1')).toBe(false);
  });
});
