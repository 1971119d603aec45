import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ErrorBody, ZpsendError } from '../../../../../schemas/errors.ts';
import {
  begin,
  next,
  type ReceiveEffect,
  type ReceiveEvent,
  type ReceivePhase,
  type ReceiveState,
} from '../../../../../services/receiver/receive/receive-state.ts';

const because = (code: 'ABORTED' | 'STREAM_BROKEN' | 'LOCKED' | 'INTERNAL', message: string): ErrorBody =>
  new ZpsendError(code, message).toBody();
const error = because('STREAM_BROKEN', 'a gap');
const earlier = because('ABORTED', 'by request');

/** The phases, with the fields of a state that matter in them. */
type Name =
  | ReceivePhase
  | 'locking, failed'
  | 'ready to discard'
  | 'ready to make parents'
  | 'ready to clear'
  | 'preparing, ended'
  | 'preparing, failed'
  | 'receiving, exited'
  | 'stopping, failed';
type EventType = ReceiveEvent['type'];

const states: Record<Name, ReceiveState> = {
  locking: begin,
  'locking, failed': { ...begin, error: earlier },
  checking: { phase: 'checking', prepare: 'nothing' },
  ready: { phase: 'ready', prepare: 'nothing' },
  'ready to discard': { phase: 'ready', prepare: 'discard' },
  'ready to make parents': { phase: 'ready', prepare: 'make-parents' },
  'ready to clear': { phase: 'ready', prepare: 'clear' },
  preparing: { phase: 'preparing', prepare: 'discard' },
  'preparing, ended': { phase: 'preparing', prepare: 'make-parents', ended: true },
  'preparing, failed': { phase: 'preparing', prepare: 'make-parents', error: earlier },
  receiving: { phase: 'receiving', prepare: 'nothing' },
  'receiving, exited': { phase: 'receiving', prepare: 'nothing', exited: true },
  closing: { phase: 'closing', prepare: 'nothing' },
  verifying: { phase: 'verifying', prepare: 'nothing' },
  stopping: { phase: 'stopping', prepare: 'nothing' },
  'stopping, failed': { phase: 'stopping', prepare: 'nothing', error: earlier },
  releasing: { phase: 'releasing', prepare: 'nothing' },
  over: { phase: 'over', prepare: 'nothing' },
};
const events: Record<EventType, ReceiveEvent> = {
  locked: { type: 'locked' },
  refused: { type: 'refused', error },
  accepted: { type: 'accepted', prepare: 'nothing' },
  'first-frame': { type: 'first-frame' },
  prepared: { type: 'prepared' },
  end: { type: 'end' },
  broken: { type: 'broken', error },
  'lease-lost': { type: 'lease-lost', error },
  exited: { type: 'exited' },
  'receive-failed': { type: 'receive-failed', error },
  verified: { type: 'verified' },
  'not-verified': { type: 'not-verified', error },
  released: { type: 'released' },
};

/** The result of an event: the phase, with the changed fields of the state, and the effects. `stay`: nothing happens. */
type Cell = 'stay' | readonly [Partial<ReceiveState> & { phase: ReceivePhase }, ...ReceiveEffect[]];

const row = <Rest extends Partial<Record<EventType, Cell>>>(cells: Rest): Rest => cells;
/** Answers to requests that this phase never makes. */
const stray = row({
  locked: 'stay',
  refused: 'stay',
  accepted: 'stay',
  'first-frame': 'stay',
  prepared: 'stay',
  end: 'stay',
  exited: 'stay',
  verified: 'stay',
  released: 'stay',
});
const ignored = row({ broken: 'stay', 'lease-lost': 'stay', 'receive-failed': 'stay', 'not-verified': 'stay' });
const failed: Cell = [{ phase: 'releasing', error }, 'report-failed', 'release'];
const refused: Cell = [{ phase: 'releasing', error }, 'refuse', 'release'];
const failing = row({ broken: failed, 'lease-lost': failed, 'receive-failed': failed, 'not-verified': failed });
const ended: Cell = [{ phase: 'releasing' }, 'report-failed', 'release'];
const running = row({
  broken: [{ phase: 'stopping', error }, 'interrupt'],
  'lease-lost': [{ phase: 'stopping', error }, 'kill'],
  'receive-failed': failed,
  'not-verified': 'stay',
});
const lockingFailed: Cell = [{ phase: 'locking', error }];
const preparingFailed: Cell = [{ phase: 'preparing', error }];

const table: Record<Name, Record<EventType, Cell>> = {
  locking: {
    ...stray,
    locked: [{ phase: 'checking' }, 'inspect'],
    refused: [{ phase: 'over', error }, 'refuse'],
    broken: lockingFailed,
    'lease-lost': lockingFailed,
    'receive-failed': lockingFailed,
    'not-verified': lockingFailed,
  },
  'locking, failed': {
    ...stray,
    locked: [{ phase: 'releasing' }, 'refuse', 'release'],
    refused: [{ phase: 'over', error }, 'refuse'],
    broken: lockingFailed,
    'lease-lost': lockingFailed,
    'receive-failed': lockingFailed,
    'not-verified': lockingFailed,
  },
  checking: {
    ...stray,
    accepted: [{ phase: 'ready', prepare: 'nothing' }, 'grant'],
    refused,
    broken: refused,
    'lease-lost': refused,
    'receive-failed': refused,
    'not-verified': refused,
  },
  ready: { ...stray, ...failing, 'first-frame': [{ phase: 'receiving' }, 'spawn'] },
  'ready to discard': { ...stray, ...failing, 'first-frame': [{ phase: 'preparing' }, 'discard'] },
  'ready to make parents': { ...stray, ...failing, 'first-frame': [{ phase: 'preparing' }, 'make-parents'] },
  'ready to clear': { ...stray, ...failing, 'first-frame': [{ phase: 'preparing' }, 'clear'] },
  preparing: {
    ...stray,
    prepared: [{ phase: 'receiving' }, 'spawn'],
    end: [{ phase: 'preparing', ended: true }],
    'receive-failed': failed,
    broken: preparingFailed,
    'lease-lost': preparingFailed,
    'not-verified': preparingFailed,
  },
  'preparing, ended': {
    ...stray,
    prepared: [{ phase: 'closing' }, 'spawn', 'close-input'],
    'receive-failed': failed,
    broken: preparingFailed,
    'lease-lost': preparingFailed,
    'not-verified': preparingFailed,
  },
  'preparing, failed': {
    ...stray,
    ...ignored,
    prepared: ended,
    end: [{ phase: 'preparing', ended: true }],
    'receive-failed': ended,
  },
  receiving: {
    ...stray,
    ...running,
    exited: [{ phase: 'receiving', exited: true }],
    end: [{ phase: 'closing' }, 'close-input'],
  },
  'receiving, exited': { ...stray, ...failing, end: [{ phase: 'verifying' }, 'verify'] },
  closing: { ...stray, ...running, exited: [{ phase: 'verifying' }, 'verify'] },
  verifying: {
    ...stray,
    ...ignored,
    verified: [{ phase: 'releasing' }, 'report-done', 'release'],
    'not-verified': failed,
  },
  stopping: {
    ...stray,
    ...ignored,
    'lease-lost': [{ phase: 'stopping' }, 'kill'],
    exited: ended,
    'receive-failed': ended,
  },
  'stopping, failed': {
    ...stray,
    ...ignored,
    'lease-lost': [{ phase: 'stopping' }, 'kill'],
    exited: ended,
    'receive-failed': ended,
  },
  releasing: { ...stray, ...ignored, released: [{ phase: 'over' }] },
  over: { ...stray, ...ignored },
};

describe.each(Object.entries(table))('a receive that is %s', (name, cells) => {
  const state = states[name as Name];
  test.each(Object.entries(cells))('on %s', (type, cell: Cell) => {
    const [changes, ...effects] = cell === 'stay' ? [{}] : cell;
    expect(next(state, events[type as EventType])).toEqual([{ ...state, ...changes }, ...effects]);
  });
});

test.each(['discard', 'make-parents', 'clear'] as const)(
  'the receive prepares the target as its inspection requires: %s',
  (prepare) => {
    const [accepted] = next(states.checking, { type: 'accepted', prepare });
    expect(accepted).toMatchObject({ phase: 'ready', prepare });
  },
);

/** The next event of the world outside, given its pending requests; `choice` picks. */
interface World {
  lock: 'asked' | 'held' | 'refused' | 'released';
  look: boolean;
  granted: boolean;
  framed: boolean;
  ended: boolean;
  preparing: boolean;
  child: 'none' | 'running' | 'exited' | 'failed';
  verifying: boolean;
  releasing: boolean;
}

const fresh = (): World => ({
  lock: 'asked',
  look: false,
  granted: false,
  framed: false,
  ended: false,
  preparing: false,
  child: 'none',
  verifying: false,
  releasing: false,
});

/** Only events that can really come: answers to pending effects, and at any time a break or the loss of the lease. */
function possible(world: World): ReceiveEvent[] {
  const can: ReceiveEvent[] = [];
  if (world.lock === 'asked') can.push(events.locked, events.refused);
  if (world.look) {
    for (const prepare of ['discard', 'make-parents', 'clear'] as const) can.push({ type: 'accepted', prepare });
    can.push(events.accepted, events.refused);
  }
  if (world.granted && !world.framed) can.push(events['first-frame']);
  if (world.framed && !world.ended) can.push(events.end);
  if (world.preparing) can.push(events.prepared, events['receive-failed']);
  if (world.child === 'running') can.push(events.exited, events['receive-failed']);
  if (world.verifying) can.push(events.verified, events['not-verified']);
  if (world.releasing) can.push(events.released);
  return can;
}

/** Records in the world the effects that an event settles. */
function settle(world: World, event: ReceiveEvent): void {
  const wasLooking = world.look;
  if (event.type === 'locked') world.lock = 'held';
  if (event.type === 'refused' && wasLooking) world.look = false;
  else if (event.type === 'refused') world.lock = 'refused';
  if (event.type === 'accepted') world.look = false;
  if (event.type === 'first-frame') world.framed = true;
  if (event.type === 'end') world.ended = true;
  if (event.type === 'prepared') world.preparing = false;
  if (event.type === 'receive-failed' && world.preparing) world.preparing = false;
  else if (event.type === 'receive-failed') world.child = 'failed';
  if (event.type === 'exited') world.child = 'exited';
  if (event.type === 'verified' || event.type === 'not-verified') world.verifying = false;
  if (event.type === 'released') world.releasing = false;
}

/** Plays a receive against the world, and checks every effect against the events so far. */
function play(choices: readonly number[]): { state: ReceiveState; effects: ReceiveEffect[] } {
  const world = fresh();
  const happened = new Set<EventType>();
  const effects: ReceiveEffect[] = [];
  let state = begin;

  const prepare = (): void => {
    expect(happened, 'I11: nothing changes before the source has proved itself').toContain('first-frame');
    expect(happened, 'nothing is prepared twice').not.toContain('prepared');
    world.preparing = true;
  };
  const check: Record<ReceiveEffect, () => void> = {
    inspect: () => {
      expect(world.lock).toBe('held');
      world.look = true;
    },
    grant: () => {
      expect(world.lock).toBe('held');
      world.granted = true;
    },
    refuse: () => expect(state.error).toBeDefined(),
    discard: prepare,
    'make-parents': prepare,
    clear: prepare,
    spawn: () => {
      expect(happened, 'I11: nothing changes before the source has proved itself').toContain('first-frame');
      expect(world.preparing).toBe(false);
      expect(happened, 'nothing starts for a sender that has gone').not.toContain('broken');
      expect(happened, 'I13: nothing starts under a lost lease').not.toContain('lease-lost');
      expect(world.child).toBe('none');
      world.child = 'running';
    },
    'close-input': () => expect(happened).toContain('end'),
    interrupt: () => expect(world.child).toBe('running'),
    kill: () => expect(world.child).toBe('running'),
    verify: () => {
      expect(world.child).toBe('exited');
      expect(happened, 'I7: a stream without its end is not whole').toContain('end');
      world.verifying = true;
    },
    'report-done': () => {
      expect(happened).toContain('verified');
      expect(world.child, 'I6').toBe('exited');
      expect(happened, 'I7').toContain('end');
    },
    'report-failed': () => expect(state.error).toBeDefined(),
    release: () => {
      expect(world.lock).toBe('held');
      expect(world.child, 'I13: no receive lives on without the lock').not.toBe('running');
      expect(world.preparing, 'I13').toBe(false);
      world.lock = 'released';
      world.releasing = true;
    },
  };
  const feed = (event: ReceiveEvent): void => {
    settle(world, event);
    happened.add(event.type);
    const [after, ...asked] = next(state, event);
    state = after;
    for (const effect of asked) {
      effects.push(effect);
      check[effect]();
    }
  };

  for (const choice of choices) {
    const usual = possible(world);
    const all = [...usual, ...usual, events.broken, ...(world.lock === 'held' ? [events['lease-lost']] : [])];
    const event = all[choice % all.length];
    if (event) feed(event);
  }
  // then every answer that is due comes, and a transfer that waits for its sender breaks by silence
  for (let rounds = 0; state.phase !== 'over' && rounds < 20; rounds += 1) {
    const [answer] = possible({ ...world, framed: true, ended: true });
    feed(answer ?? events.broken);
  }
  expect(state.phase, 'a receive always ends').toBe('over');
  const count = (effect: ReceiveEffect) => effects.filter((done) => done === effect).length;
  expect(count('release')).toBe(happened.has('locked') ? 1 : 0);
  expect(count('spawn')).toBeLessThanOrEqual(1);
  expect(count('grant') + count('refuse'), 'one answer to recv.start').toBe(1);
  expect(count('report-done') + count('report-failed'), 'one final word').toBe(count('grant'));
  return { state, effects };
}

test('I6, I7, I11, I13: a receive keeps its invariants under any order of events', () => {
  const seen = new Map<ReceiveEffect, number>();
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 3, maxLength: 14 }), (choices) => {
      for (const effect of play(choices).effects) seen.set(effect, (seen.get(effect) ?? 0) + 1);
    }),
    { numRuns: 5000 },
  );
  // the schedules reach every corner
  for (const effect of [
    'discard',
    'make-parents',
    'clear',
    'report-done',
    'close-input',
    'interrupt',
    'kill',
  ] as const) {
    expect(seen.get(effect) ?? 0, effect).toBeGreaterThan(10);
  }
});
