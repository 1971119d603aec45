import { describe, expect, test } from 'vitest';
import {
  type DeliveryEvent,
  type DeliveryState,
  deliveriesOf,
  isSettled,
  next,
} from '../../../../../../lib/bus/channel/store/delivery-state.ts';
import type { ErrorBody } from '../../../../../../schemas/errors.ts';
import type { Receipt } from '../../../../../../schemas/stored.ts';
import { receiptOf, storedStream } from '../../../../../support/stored-streams.ts';

type StateName = DeliveryState['type'];
type EventName = 'running' | 'running, error' | 'done' | 'failed' | 'failed, error' | 'failed, lost' | 'online';

const full: ErrorBody = { code: 'NO_SPACE', message: 'full', retryable: true };
const ended: ErrorBody = { code: 'MODIFIED', message: 'written to', retryable: false };
const broken: ErrorBody = { code: 'STREAM_BROKEN', message: 'gone', retryable: true, details: { reason: 'lost' } };

const states: Record<StateName, DeliveryState> = {
  stored: { type: 'stored' },
  unclaimed: { type: 'unclaimed', since: 1 },
  claimed: { type: 'claimed' },
  blocked: { type: 'blocked', error: { ...full, message: 'before' } },
  delivered: { type: 'delivered' },
  rejected: { type: 'rejected', error: { ...ended, message: 'before' } },
  lost: { type: 'lost', error: { ...broken, message: 'before' } },
};
const reported = (state: Receipt['state'], error?: ErrorBody): DeliveryEvent => ({
  type: 'reported',
  receipt: { state, bytes: 5, ...(error && { error }) },
});
const events: Record<EventName, DeliveryEvent> = {
  running: reported('running'),
  'running, error': reported('running', full),
  done: reported('done'),
  failed: reported('failed'),
  'failed, error': reported('failed', ended),
  'failed, lost': reported('failed', broken),
  online: { type: 'online', since: 7 },
};

/** A receipt counts in every state. */
const byReceipt: Record<Exclude<EventName, 'online'>, DeliveryState> = {
  running: { type: 'claimed' },
  'running, error': { type: 'blocked', error: full },
  done: { type: 'delivered' },
  failed: { type: 'rejected' },
  'failed, error': { type: 'rejected', error: ended },
  'failed, lost': { type: 'lost', error: broken },
};
const table: Record<StateName, Record<EventName, DeliveryState>> = {
  stored: { ...byReceipt, online: { type: 'unclaimed', since: 7 } },
  unclaimed: { ...byReceipt, online: { type: 'unclaimed', since: 7 } },
  claimed: { ...byReceipt, online: states.claimed },
  blocked: { ...byReceipt, online: states.blocked },
  delivered: { ...byReceipt, online: states.delivered },
  rejected: { ...byReceipt, online: states.rejected },
  lost: { ...byReceipt, online: states.lost },
};

describe('a stored stream at one of its targets', () => {
  const cells = Object.entries(table).flatMap(([state, row]) =>
    Object.entries(row).map(([event, after]) => [state, event, after] as const),
  );
  test.each(cells)('that is %s, on "%s"', (state, event, after) => {
    expect(next(states[state as StateName], events[event as EventName])).toEqual(after);
  });

  test('is settled when it is delivered, rejected or lost, and not before', () => {
    const settled = Object.values(states).filter(isSettled);
    expect(settled.map(({ type }) => type)).toEqual(['delivered', 'rejected', 'lost']);
  });
});

describe('the deliveries of a store', () => {
  const waiting = [
    storedStream('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
    storedStream('stream2', ['one', 'b']),
  ];
  const shown = (...receipts: ReturnType<typeof receiptOf>[]) =>
    deliveriesOf(waiting, receipts).map(({ key, target, state }) => [key, target, state.type]);

  test('are one for each target of each stream, in the order in which they were stored', () => {
    expect(shown()).toEqual([
      ['stream1.0', 'one', 'stored'],
      ['stream1.1', 'two', 'stored'],
      ['stream2.0', 'one', 'stored'],
    ]);
  });

  test('accept only receipts of their target, stream and index', () => {
    expect(shown(receiptOf('two', 'stream1', 'done', 1), receiptOf('one', 'stream2', 'failed'))).toEqual([
      ['stream1.0', 'one', 'stored'],
      ['stream1.1', 'two', 'delivered'],
      ['stream2.0', 'one', 'rejected'],
    ]);
    const others = [
      receiptOf('two', 'stream1', 'done'),
      receiptOf('one', 'stream1', 'done', 1),
      receiptOf('three', 'stream2', 'done'),
      receiptOf('one', 'gone00', 'done'),
    ];
    expect(shown(...others)).toEqual(shown());
  });
});
