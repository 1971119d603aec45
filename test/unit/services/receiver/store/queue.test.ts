import { describe, expect, test } from 'vitest';
import { deliveriesOf, isLost } from '../../../../../lib/bus/channel/store/delivery-state.ts';
import type { PlacedReceipt } from '../../../../../lib/bus/channel/store/receipts.ts';
import { type ErrorBody, hasReason, ZpsendError } from '../../../../../schemas/errors.ts';
import { isBehind, itemsFor, lostBefore, mayPass } from '../../../../../services/receiver/store/queue.ts';
import { receiptOf, storedStream } from '../../../../support/stored-streams.ts';

describe('the streams stored for a host', () => {
  const waiting = [
    storedStream('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
    storedStream('stream2', ['two', 'pool/a'], ['two', 'pool/b']),
    storedStream('stream3', ['two', 'pool/c']),
  ];
  const ids = (host: string, ...receipts: PlacedReceipt[]) =>
    itemsFor(host, deliveriesOf(waiting, receipts)).map(({ stream, place }) => `${stream.id} ${place}`);

  test('are those that name it, in order', () => {
    expect(ids('one')).toEqual(['stream1 0']);
    expect(ids('two')).toEqual(['stream1 1', 'stream2 0', 'stream2 1', 'stream3 0']);
    expect(ids('three')).toEqual([]);
  });

  test('exclude those that it has received or rejected', () => {
    expect(ids('two', receiptOf('two', 'stream1', 'done', 1), receiptOf('two', 'stream3', 'failed'))).toEqual([
      'stream2 0',
      'stream2 1',
    ]);
  });

  test('include those that another host has received, and those that were only started', () => {
    expect(ids('two', receiptOf('one', 'stream1', 'done', 1), receiptOf('two', 'stream1', 'running', 1))).toHaveLength(
      4,
    );
  });

  test.each<[string, object, readonly string[], boolean]>([
    ['another dataset', {}, ['pool/b'], false],
    ['a name that begins alike', {}, ['pool/aa'], false],
    ['the same', {}, ['pool/a'], true],
    ['a dataset above', {}, ['pool'], true],
    ['a dataset below', {}, ['pool/a/x'], false],
    ['its origin', { origin: 'pool/o@1' }, ['pool/o'], true],
  ])('wait for a blocked dataset: %s', (_, more, blocked, is) => {
    const [one] = itemsFor('dst', deliveriesOf([storedStream('stream1', ['dst', 'pool/a', more])], []));
    expect(one && isBehind(one.start, blocked)).toBe(is);
  });

  test.each<[ErrorBody['code'], object, boolean, boolean]>([
    ['LOCKED', {}, true, false],
    ['NO_SPACE', {}, true, false],
    ['KEY_REQUIRED', {}, true, false],
    ['ABORTED', {}, true, false],
    ['STREAM_BROKEN', {}, true, false],
    ['STREAM_BROKEN', { reason: 'lost' }, false, true],
    ['DIVERGED', {}, false, false],
    ['MODIFIED', {}, false, false],
    ['KEY_MISMATCH', {}, true, false],
    ['KEY_MISMATCH', { reason: 'key-changed' }, false, false],
    ['EXISTS', {}, false, false],
  ])('that failed with %s %j: is it tried again, and is the stream lost?', (code, details, passes, lost) => {
    const error = new ZpsendError(code, 'x', { ...details }).toBody();
    expect([mayPass(error), isLost(error)]).toEqual([passes, lost]);
  });

  test('are lost together with their base', () => {
    const broken = new ZpsendError('STREAM_BROKEN', 'x', { reason: 'lost' }).toBody();
    const lost = deliveriesOf(waiting, [receiptOf('one', 'stream1', 'failed', 0, broken)]);
    expect([...lostBefore('one', lost)]).toEqual(['1']);
    expect([...lostBefore('two', lost)]).toEqual([]);
    expect([...lostBefore('one', deliveriesOf(waiting, [receiptOf('one', 'stream1', 'failed')]))]).toEqual([]);
  });

  test('have arrived directly if their own snapshot exists, and not if a dataset has its name', () => {
    const error = (details: object) => ({
      code: 'EXISTS' as const,
      message: 'x',
      retryable: false,
      details: { ...details },
    });
    expect(hasReason(error({ reason: 'has-snapshot', snapshot: 'pool/a@1' }), 'EXISTS', 'has-snapshot')).toBe(true);
    expect(hasReason(error({ dataset: 'pool/a' }), 'EXISTS', 'has-snapshot')).toBe(false);
  });
});
