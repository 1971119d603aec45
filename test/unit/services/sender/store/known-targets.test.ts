import { describe, expect, test } from 'vitest';
import {
  deliveriesOf,
  isSettledDelivery,
  type SettledDelivery,
} from '../../../../../lib/bus/channel/store/delivery-state.ts';
import { emptyInventory } from '../../../../../lib/plan/predict-target.ts';
import { type ErrorBody, ZpsendError } from '../../../../../schemas/errors.ts';
import type { LastKnownTarget, Receipt } from '../../../../../schemas/stored.ts';
import { deliveriesAt } from '../../../../../services/sender/store/deliveries.ts';
import { afterDelivery, afterListing } from '../../../../../services/sender/store/known-targets.ts';
import { receiptOf, storedStream } from '../../../../support/stored-streams.ts';

describe('the settled streams of a target', () => {
  const waiting = [
    storedStream('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
    storedStream('stream2', ['one', 'pool/b']),
  ];
  const place = { host: 'one', targetDataset: 'pool' };
  const seen: LastKnownTarget = { version: 1, target: emptyInventory('one', 'pool/a') };
  const settled = (state: Receipt['state'], error?: ErrorBody): SettledDelivery => {
    const [first] = deliveriesOf(waiting, [receiptOf('one', 'stream1', state, 0, error)]).filter(isSettledDelivery);
    if (!first) throw new Error('it is not settled');
    return first;
  };
  const names = ({ target }: LastKnownTarget) => target.datasets.map(({ name }) => name);
  const error = (code: ErrorBody['code'], details: object) => new ZpsendError(code, 'x', { ...details }).toBody();

  test('include existing streams, and exclude running ones', () => {
    const all = [
      receiptOf('one', 'stream1', 'running'),
      receiptOf('two', 'stream1', 'done', 1),
      receiptOf('one', 'gone00', 'done'),
    ];
    expect(deliveriesAt(place, deliveriesOf(waiting, all))).toMatchObject({ settled: [], starts: [{}, {}] });
    const other = deliveriesAt({ host: 'two', targetDataset: 'pool' }, deliveriesOf(waiting, all));
    expect([other.settled.map(({ key }) => key), other.starts]).toEqual([['stream1.1'], []]);
    const { starts } = deliveriesAt(place, deliveriesOf(waiting, [receiptOf('one', 'stream1', 'failed')]));
    expect(starts.map(({ targetDataset }) => targetDataset)).toEqual(['pool/b']);
  });

  test('count once: a later listing is newer', () => {
    const received = afterDelivery(seen, settled('done'));
    expect([names(received), received.appliedReceipts]).toEqual([['pool', 'pool/a'], ['stream1.0']]);
    const later = { ...received, target: seen.target };
    expect(afterDelivery(later, settled('done'))).toBe(later);
    expect(
      afterDelivery({ ...seen, appliedReceipts: ['stream1.0'] }, settled('failed', error('DIVERGED', {}))).refused,
    ).toBeUndefined();
  });

  test.each<[ErrorBody['code'], object, string, boolean]>([
    ['DIVERGED', {}, 'refused', true],
    ['STREAM_BROKEN', {}, 'rejected though it was not lost', true],
    ['STREAM_BROKEN', { reason: 'lost' }, 'damaged in the store', false],
    ['BASE_MISSING', { reason: 'lost' }, 'lost what it had: its parent is there', true],
  ])('pauses the store for it or not: %s %j, %s', (code, details, _, isRefused) => {
    const now = afterDelivery(seen, settled('failed', error(code, details)));
    expect([now.refused !== undefined, now.appliedReceipts, names(now)]).toEqual([isRefused, ['stream1.0'], ['pool']]);
  });

  test('keep the first error, which caused the later ones', () => {
    const first = afterDelivery(seen, settled('failed', error('MODIFIED', {})));
    const then = afterDelivery(first, { ...settled('failed', error('DIVERGED', {})), key: 'stream2.0' });
    expect([then.refused?.code, then.appliedReceipts]).toEqual(['MODIFIED', ['stream1.0', 'stream2.0']]);
  });

  test('do not pause the store if the base never arrived', () => {
    const { start, ...said } = settled('failed', error('BASE_MISSING', { reason: 'lost' }));
    const now = afterDelivery(seen, { ...said, start: { ...start, from: { guid: '9' } } });
    expect([now.refused, now.appliedReceipts]).toEqual([undefined, ['stream1.0']]);
  });

  test('below the dataset that a job listed are still to be applied, and the known target there is kept', () => {
    const below = {
      ...settled('done'),
      key: 'below.0',
      start: { ...settled('done').start, targetDataset: 'pool/a/c' },
    };
    const before = afterDelivery(afterDelivery(seen, settled('done')), below);
    const target = { host: 'one', datasets: before.target.datasets.filter(({ name }) => name !== 'pool/a/c') };
    const unheard = { ...below, key: 'later.0' };
    const again = afterListing(before, {
      targetDataset: 'pool/a',
      isWhole: false,
      target,
      settled: [settled('done'), unheard],
    });
    expect([names(again), again.appliedReceipts]).toEqual([
      ['pool', 'pool/a', 'pool/a/c'],
      ['stream1.0', 'below.0'],
    ]);
    const whole = afterListing(before, { targetDataset: 'pool/a', isWhole: true, target, settled: [unheard] });
    expect([names(whole), whole.appliedReceipts]).toEqual([['pool', 'pool/a'], ['later.0']]);
  });
});
