import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  openReceiveWindow,
  openSendWindow,
  type ReceiveWindow,
} from '../../../../../../lib/bus/channel/direct/flow-control.ts';
import type { FrameHeader } from '../../../../../../lib/bus/channel/direct/frame.ts';

const frame = (type: FrameHeader['type'], offset: number): FrameHeader => ({ type, offset });

/** A window after the first credit. */
function granted(size: number): ReceiveWindow {
  const window = openReceiveWindow(size);
  window.grant();
  return window;
}

describe('the receiver', () => {
  test('accepts consecutive bytes up to the credit', () => {
    const window = granted(100);
    expect(window.accept(frame('data', 0), 60)).toBeUndefined();
    expect(window.accept(frame('data', 60), 40)).toBeUndefined();
    expect(window.accept(frame('end', 100), 0)).toBeUndefined();
    expect(window).toMatchObject({ received: 100, consumed: 0, ended: true });
  });

  test.each([
    ['a wrong offset ahead', 'gap', frame('data', 11), 1],
    ['a wrong offset behind (a repeated frame)', 'gap', frame('data', 9), 1],
    ['beyond the credit', 'beyond-credit', frame('data', 10), 91],
    ['an end with another total', 'total-mismatch', frame('end', 11), 0],
    ['data without a byte', 'malformed', frame('data', 10), 0],
    ['an end with a body', 'malformed', frame('end', 10), 1],
    ['a ping with a body', 'malformed', frame('ping', 10), 1],
  ] as const)('refuses %s', (_what, violation, header, length) => {
    const window = granted(100);
    window.accept(frame('data', 0), 10);
    expect(window.accept(header, length)).toBe(violation);
    expect(window).toMatchObject({ received: 10, ended: false });
  });

  test.each([frame('data', 10), frame('end', 11)])('refuses $type at byte $offset after the end', (header) => {
    const window = granted(100);
    window.accept(frame('data', 0), 10);
    window.accept(frame('end', 10), 0);
    expect(window.accept(header, header.type === 'data' ? 1 : 0)).toBe('after-end');
  });

  test('accepts a repeated end, an abort at any time, and a ping whose bytes have all arrived', () => {
    const window = granted(100);
    window.accept(frame('data', 0), 10);
    expect(window.accept(frame('ping', 10), 0)).toBeUndefined();
    window.accept(frame('end', 10), 0);
    expect(window.accept(frame('end', 10), 0)).toBeUndefined();
    expect(window.accept(frame('ping', 10), 0)).toBeUndefined();
    expect(window.accept(frame('abort', 5), 20)).toBeUndefined();
  });

  test('detects lost frames by a ping', () => {
    const window = granted(100);
    window.accept(frame('data', 0), 10);
    expect(window.accept(frame('ping', 11), 0)).toBe('gap');
    expect(window.accept(frame('ping', 9), 0)).toBe('gap');
  });

  test('grants credit after a quarter of the window was consumed', () => {
    const window = granted(100);
    window.accept(frame('data', 0), 100);
    expect(window.consume(24)).toBe(false);
    expect(window.consume(1)).toBe(true);
    expect(window.grant()).toBe(125);
    expect(window.consume(24)).toBe(false);
  });

  test('accepts nothing before its first credit, and grants no more than the limit', () => {
    const window = openReceiveWindow(100);
    expect(window.accept(frame('data', 0), 1)).toBe('beyond-credit');
    expect([window.grant(30), window.owes]).toEqual([30, true]);
    expect([window.grant(0), window.owes]).toEqual([30, true]);
    expect([window.grant(500), window.owes]).toEqual([100, false]);
    window.accept(frame('data', 0), 100);
    window.consume(10);
    expect(window.owes).toBe(true);
    expect(window.grant(4)).toBe(104);
  });

  test('I8: never has more than a window unconsumed, and a sender that keeps to its credit is never refused', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.record({ send: fc.nat(300), consume: fc.nat(300) }), { maxLength: 100 }),
        (size, rounds) => {
          const receiver = granted(size);
          const sender = openSendWindow(size);
          sender.granted(receiver.granted);
          for (const round of rounds) {
            const length = Math.min(round.send, sender.room);
            if (length > 0) expect(receiver.accept(frame('data', sender.sent), length)).toBeUndefined();
            sender.take(length);
            sender.flushed(length);
            expect(receiver.received - receiver.consumed).toBeLessThanOrEqual(size);
            const waiting = receiver.received - receiver.consumed;
            if (receiver.consume(Math.min(round.consume, waiting))) sender.granted(receiver.grant());
            expect(sender.consumed).toBeLessThanOrEqual(receiver.consumed);
          }
        },
      ),
    );
  });
});

describe('the sender', () => {
  test('sends nothing before the first credit', () => {
    expect(openSendWindow(100).room).toBe(0);
  });

  test('ignores an older credit', () => {
    const window = openSendWindow(100);
    window.granted(150);
    window.granted(100);
    window.take(60);
    window.flushed(60);
    expect(window).toMatchObject({ room: 90, consumed: 50 });
  });

  test('I8: keeps no more than a window unwritten, for any grants', () => {
    const window = openSendWindow(100);
    window.granted(1e9);
    window.take(100);
    expect(window.room).toBe(0);
    window.flushed(40);
    expect(window.room).toBe(40);
  });
});
