import { describe, expect, test } from 'vitest';
import { codes } from '../../../schemas/error-codes.ts';
import { type Code, type ErrorBody, hasReason, reasonOf, reasonsOf, ZpsendError } from '../../../schemas/errors.ts';

const all = Object.keys(codes) as Code[];

describe('the reason of an error', () => {
  test('belongs to the code, and survives serialization', () => {
    for (const code of all) {
      for (const reason of Object.keys(reasonsOf(code))) {
        const body: ErrorBody = { code, message: 'x', retryable: false, details: { reason } };
        const again = ZpsendError.fromBody(JSON.parse(JSON.stringify(body)));
        expect([again.reason, reasonOf(again.toBody())]).toEqual([reason, reason]);
      }
    }
  });

  test.each<[string, unknown]>([
    ['of a newer release', 'made-up-later'],
    ['of another code', 'not-yaml'],
    ['that every object has', 'toString'],
    ['that is not a string', 7],
    ['that is absent', undefined],
  ])('%s is ignored, but stays in the details', (_, reason) => {
    const details = { reason: reason as string };
    const error = ZpsendError.fromBody({ code: 'BUSY', message: 'x', retryable: true, details });
    expect(error.reason).toBeUndefined();
    expect(error.toBody().details).toEqual(details);
  });

  test('is compared together with the code', () => {
    const lost = new ZpsendError('DIVERGED', 'x', { reason: 'lost' }).toBody();
    expect(hasReason(lost, 'DIVERGED', 'lost')).toBe(true);
    expect(hasReason(lost, 'STREAM_BROKEN', 'lost')).toBe(false);
    expect(hasReason(lost, 'DIVERGED', 'rollback-unfinished')).toBe(false);
  });

  test('of another code does not compile', () => {
    new ZpsendError('BUSY', 'x', { reason: 'queued', running: 4 });
    // @ts-expect-error this reason is another code's
    new ZpsendError('BUSY', 'x', { reason: 'not-yaml' });
    // @ts-expect-error this code has no reasons
    new ZpsendError('READ_ONLY', 'x', { reason: 'queued' });
    // @ts-expect-error this reason is not one of the given code
    hasReason({ code: 'BUSY' }, 'BUSY', 'silent');
    const read: 'queued' | 'refused-there' | undefined = reasonOf({ code: 'BUSY' });
    expect(read).toBeUndefined();
  });
});

test('anything that is thrown becomes an error with a code', () => {
  const thrown = new Error('x');
  expect(ZpsendError.from(thrown)).toMatchObject({ code: 'INTERNAL', cause: thrown, retryable: false });
  expect(ZpsendError.from(Object.create(null))).toMatchObject({ code: 'INTERNAL' });
  const own = new ZpsendError('BUSY', 'x');
  expect([ZpsendError.from(own), own instanceof ZpsendError, own.retryable]).toEqual([own, true, true]);
});
