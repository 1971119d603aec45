import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codes } from '../../../../../schemas/error-codes.ts';
import { type Code, type ErrorBody, type ErrorDetails, ZpsendError } from '../../../../../schemas/errors.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import {
  begin,
  type ChainEffect,
  type ChainEvent,
  type ChainLimits,
  type ChainPhase,
  type ChainState,
  next,
} from '../../../../../services/sender/replication/chain-state.ts';
import { backOff, mostTries, type Remedy, remedies } from '../../../../../services/sender/replication/error-policy.ts';

const limits: ChainLimits = { patience: 60_000, ours: (transfer) => transfer.startsWith('job') };
const fault = (code: Code, details?: ErrorDetails): ErrorBody => new ZpsendError(code, code, details).toBody();
const aborted = fault('ABORTED');
const maxTries = mostTries(limits.patience);

const step = (n: number): Step => ({
  type: n === 1 ? 'full' : 'incremental',
  to: { name: `tank/a@s${n}`, guid: String(n) },
  ...(n > 1 && { from: { name: `tank/a@s${n - 1}`, guid: String(n - 1), kind: 'snapshot' as const } }),
  targetDataset: 'tank/a',
});
const steps = [step(1), step(2)];
const key = '>1';

const back = { kind: 'rollback' as const, guid: '9', to: { name: 'tank/a@s1', guid: '1' }, destroys: [] };
const rotation = { kind: 'rename' as const, from: 'tank/a', to: 'tank/a_diverged_1', guid: '9' };

type EventType = ChainEvent['type'];

const running = { ...begin, steps };
const trouble = { count: 1, since: 1000, step: key, replans: 0 };
const states: Record<ChainPhase, ChainState> = {
  planning: begin,
  holding: { ...running, phase: 'holding' },
  asking: { ...running, phase: 'asking' },
  transferring: { ...running, phase: 'transferring' },
  releasing: { ...running, phase: 'releasing', after: { kind: 'next' } },
  waiting: { ...running, phase: 'waiting', trouble, after: { kind: 'wait', ms: 250, backTo: 'hold' } },
  done: { ...running, phase: 'done' },
  failed: { ...running, phase: 'failed', error: aborted },
};
const broken = fault('STREAM_BROKEN');
const events: Record<EventType, ChainEvent> = {
  planned: { type: 'planned', steps },
  'plan-refused': { type: 'plan-refused', error: fault('DIVERGED') },
  held: { type: 'held' },
  ready: { type: 'ready' },
  'ready-with-stale-partial': { type: 'ready-with-stale-partial' },
  arrived: { type: 'arrived' },
  failed: { type: 'failed', error: broken, now: 1000, moved: false },
  released: { type: 'released' },
  waited: { type: 'waited' },
  abort: { type: 'abort', error: aborted },
};

type Cell = 'stay' | readonly [Partial<ChainState> & { phase: ChainPhase }, ...ChainEffect[]];
const waits = { error: broken, until: 1000 + limits.patience };
const brokenStep: Cell = [
  { phase: 'releasing', error: broken, waits, trouble, after: { kind: 'wait', ms: 250, backTo: 'plan' } },
  { type: 'release' },
];
const hold: ChainEffect = { type: 'hold' };
const release: ChainEffect = { type: 'release' };
const report: ChainEffect = { type: 'report' };
const nothing: Record<EventType, Cell> = {
  planned: 'stay',
  'plan-refused': 'stay',
  held: 'stay',
  ready: 'stay',
  'ready-with-stale-partial': 'stay',
  arrived: 'stay',
  failed: 'stay',
  released: 'stay',
  waited: 'stay',
  abort: 'stay',
};

const table: Record<ChainPhase, Record<EventType, Cell>> = {
  planning: {
    ...nothing,
    planned: [{ phase: 'holding', steps }, hold],
    'plan-refused': [{ phase: 'failed', error: fault('DIVERGED') }, report],
    failed: [
      {
        phase: 'waiting',
        error: broken,
        waits,
        trouble: { ...trouble, step: '' },
        after: { kind: 'wait', ms: 250, backTo: 'plan' },
      },
      { type: 'wait', ms: 250 },
    ],
    abort: [{ phase: 'failed', error: aborted, aborted }, report],
  },
  holding: {
    ...nothing,
    held: [{ phase: 'asking' }, { type: 'ask', discard: false }],
    failed: brokenStep,
    abort: [{ phase: 'holding', aborted }],
  },
  asking: {
    ...nothing,
    ready: [{ phase: 'transferring' }, { type: 'transfer' }],
    'ready-with-stale-partial': [
      { phase: 'releasing', discard: true, after: { kind: 'wait', ms: 0, backTo: 'hold' } },
      { type: 'cancel' },
      release,
    ],
    failed: brokenStep,
    abort: [{ phase: 'asking', aborted }],
  },
  transferring: {
    ...nothing,
    arrived: [{ phase: 'releasing', index: 1, done: 1, after: { kind: 'next' } }, release],
    failed: brokenStep,
    abort: [{ phase: 'transferring', aborted }, { type: 'cancel' }],
  },
  releasing: {
    ...nothing,
    released: [{ phase: 'holding' }, hold],
    abort: [{ phase: 'releasing', after: { kind: 'next' }, aborted }],
  },
  waiting: {
    ...nothing,
    waited: [{ phase: 'holding' }, hold],
    abort: [{ phase: 'failed', error: aborted, aborted }, report],
  },
  done: nothing,
  failed: nothing,
};

describe.each(Object.entries(table))('a chain that is %s', (phase, cells) => {
  const state = states[phase as ChainPhase];
  test.each(Object.entries(cells))('on %s', (type, cell: Cell) => {
    const [changes, ...effects] = cell === 'stay' ? [state] : cell;
    const [after, ...asked] = next(state, events[type as EventType], limits);
    expect(asked).toEqual(effects);
    if (after.phase === 'done' || after.phase === 'failed') expect(after).toMatchObject(changes);
    else expect(after).toEqual({ ...state, after: undefined, ...changes });
  });
});

/** Plays events one after the other and gathers the effects. */
function run(state: ChainState, ...all: ChainEvent[]): { state: ChainState; effects: ChainEffect[] } {
  const effects: ChainEffect[] = [];
  let now = state;
  for (const event of all) {
    const [after, ...asked] = next(now, event, limits);
    now = after;
    effects.push(...asked);
  }
  return { state: now, effects };
}
const failed = (error: ErrorBody, now = 1000, moved = false): ChainEvent => ({ type: 'failed', error, now, moved });

describe('a whole chain', () => {
  test('holds, requests, transfers and releases, step by step', () => {
    const { held, ready, arrived, released, planned } = events;
    const oneStep = [held, ready, arrived, released];
    const { state, effects } = run(begin, planned, ...oneStep, ...oneStep);
    expect(state).toMatchObject({ phase: 'done', done: 2 });
    const oneStepsEffects = ['hold', 'ask', 'transfer', 'release'];
    expect(effects.map(({ type }) => type)).toEqual([...oneStepsEffects, ...oneStepsEffects, 'report']);
  });

  test('with nothing to send is done at once', () => {
    expect(run(begin, { type: 'planned', steps: [] })).toMatchObject({ state: { phase: 'done' }, effects: [report] });
  });

  test('that is refused returns its evidence', () => {
    const evidence = { newestCommon: null, sourceOnly: ['a'], targetOnly: ['b'] };
    const { state } = run(begin, { type: 'plan-refused', error: fault('DIVERGED'), evidence });
    expect(state).toMatchObject({ phase: 'failed', evidence, error: { code: 'DIVERGED' } });
  });
});

describe('abort', () => {
  /** The answers that may be pending in a phase. */
  const due: Record<ChainPhase, ChainEvent[]> = {
    planning: [events.planned, events['plan-refused'], events.failed],
    holding: [events.held, events.failed],
    asking: [events.ready, events['ready-with-stale-partial'], events.failed],
    transferring: [events.arrived, events.failed],
    releasing: [events.released],
    waiting: [],
    done: [],
    failed: [],
  };
  const cases = Object.entries(due).flatMap(([phase, answers]) =>
    (answers.length > 0 ? answers : [events.waited]).map(
      (answer) => [phase as ChainPhase, answer.type, answer] as const,
    ),
  );

  test.each(cases)('while %s ends the chain after the answer %s, and no hold is left', (phase, _type, answer) => {
    const { state, effects } = run(states[phase], events.abort, events.abort, answer, events.released);
    expect(['done', 'failed']).toContain(state.phase);
    if (phase !== 'done') expect(state.error).toEqual(aborted);
    const types = effects.map(({ type }) => type);
    for (const type of ['hold', 'ask', 'transfer', 'plan', 'wait'] as const) expect(types).not.toContain(type);
    if (['holding', 'asking', 'transferring'].includes(phase))
      expect(types.filter((t) => t === 'release')).toHaveLength(1);
    // a receiver that said it is ready waits for a stream
    if (phase === 'asking' && answer.type !== 'failed') expect(types).toContain('cancel');
  });
});

describe('a failure of a step', () => {
  const phaseAfter: Record<Remedy, ChainPhase> = {
    fail: 'failed',
    replan: 'waiting',
    wait: 'waiting',
    'wait-replan': 'waiting',
    discard: 'waiting',
  };

  test.each(Object.keys(codes) as Code[])('%s is handled as its remedy requires', (code) => {
    const remedy = remedies[code];
    const { state, effects } = run(states.asking, failed(fault(code)), events.released);
    expect(state.phase).toBe(phaseAfter[remedy]);
    expect(effects[0], 'the holds go first').toEqual(release);
    if (remedy === 'fail') return;
    const [after, ...asked] = next(state, events.waited, limits);
    expect(asked).toEqual([{ type: remedy === 'wait' ? 'hold' : 'plan' }]);
    expect(after.discard).toBe(remedy === 'discard');
  });

  test('that makes the partial state useless discards it, and only once', () => {
    const again = [events.released, events.waited, events.planned, events.held];
    const { state, effects } = run(states.transferring, failed(fault('RESUME_STALE')), ...again);
    expect(effects.at(-1)).toEqual({ type: 'ask', discard: true });
    const busy = run(state, failed(fault('BUSY')), events.released, events.waited, events.held);
    expect(busy.effects.at(-1), 'nothing was dropped yet').toEqual({ type: 'ask', discard: true });
    const cut = run(state, events.ready, failed(broken, 1000, true), ...again);
    expect(cut.effects.at(-1), 'what has come since is of use').toEqual({ type: 'ask', discard: false });
  });

  test('is retried until the patience ends', () => {
    const busy = (now: number) =>
      run(
        states.asking,
        failed(fault('BUSY'), 1000),
        events.released,
        events.waited,
        events.held,
        failed(fault('BUSY'), now),
        events.released,
      ).state;
    expect(busy(1000 + limits.patience).phase).toBe('waiting');
    expect(busy(1001 + limits.patience)).toMatchObject({ phase: 'failed', error: { code: 'BUSY' } });
  });

  test('after bytes have moved starts the patience again', () => {
    const again = [events.released, events.waited, events.planned, events.held, events.ready];
    const late = 2000 + limits.patience;
    const cut = (moved: boolean) =>
      run(states.transferring, failed(broken, 1000), ...again, failed(broken, late, moved), events.released);
    expect(cut(true).state.phase).toBe('waiting');
    expect(cut(false).state.phase).toBe('failed');
  });

  test('is cleared when the step arrives', () => {
    const { state } = run(
      states.transferring,
      failed(broken),
      events.released,
      events.waited,
      events.planned,
      events.held,
      events.ready,
      events.arrived,
    );
    expect(state).toMatchObject({ trouble: null, discard: false });
    expect(state.error).toBeUndefined();
  });

  test('that shows an outdated listing replans at once; repeated failures of the same step end the chain', () => {
    const vanished = failed(fault('NO_SUCH_SNAPSHOT'));
    let state: ChainState = states.holding;
    let plans = 0;
    for (; state.phase !== 'failed' && plans < 100; plans += 1) {
      const played = run(state, vanished, events.released);
      state = played.state;
      if (state.phase !== 'waiting') break;
      expect(played.effects).toContainEqual({ type: 'wait', ms: 0 });
      state = run(state, events.waited, events.planned).state;
    }
    expect(plans).toBe(3);
  });

  test('a vanished snapshot is skipped: the new plan starts with another step, and keeps the patience (I3)', () => {
    const impatient = { ...limits, patience: 0 };
    let state: ChainState = states.holding;
    for (let n = 3; n < 20; n += 1) {
      for (const event of [failed(fault('NO_SUCH_SNAPSHOT'), n * 1000), events.released, events.waited]) {
        [state] = next(state, event, impatient);
      }
      [state] = next(state, { type: 'planned', steps: [step(n)] }, impatient);
      expect(state.phase).toBe('holding');
    }
  });

  test('an absent receiver is waited for, also during a replan', () => {
    const unreachable = failed(fault('UNREACHABLE'));
    expect(run(states.asking, unreachable, events.released).state.phase).toBe('waiting');
    expect(run({ ...begin, steps }, unreachable).state.phase).toBe('waiting');
  });
});

describe('a receiver that is full', () => {
  const full = (now: number) => failed(fault('BUSY', { reason: 'queued' }), now);
  const again = [events.released, events.waited, events.held];

  test('is asked again without limit: it is online, and waiting for a turn is no failure', () => {
    let state: ChainState = states.asking;
    for (let turn = 0; turn < maxTries * 3; turn += 1) {
      const played = run(state, full(turn * limits.patience), events.released);
      expect(played.state).toMatchObject({ phase: 'waiting', error: { code: 'BUSY' } });
      expect(played.effects).toEqual([release, { type: 'wait', ms: backOff(turn) }]);
      const asked = run(played.state, events.waited, events.held);
      expect(asked.effects, 'the same step, without a new listing').toEqual([hold, { type: 'ask', discard: false }]);
      state = asked.state;
    }
  });

  test('is asked again soon after it had room once', () => {
    const busy = run(states.asking, full(1), ...again, full(2), ...again, full(3), ...again).state;
    const { effects } = run(busy, events.ready, events.arrived, events.released, events.held, full(4), events.released);
    expect(effects.at(-1)).toEqual({ type: 'wait', ms: backOff(0) });
  });

  test('does not reduce the patience that earlier failures left, and keeps their number', () => {
    const late = 2000 + limits.patience;
    const cut = [failed(broken, 1000), events.released, events.waited, events.planned, events.held];
    const { state } = run(states.transferring, ...cut, full(late), ...again, events.ready, failed(broken, late + 10));
    expect(state).toMatchObject({ after: { kind: 'wait' }, trouble: { count: 2 } });
  });

  test('is not asked again after the job is aborted', () => {
    const waiting = run(states.asking, full(1), events.released).state;
    expect(run(waiting, events.abort)).toMatchObject({ state: { phase: 'failed', error: aborted }, effects: [report] });
    expect(run(states.asking, events.abort, full(1), events.released).state.phase).toBe('failed');
  });

  test('BUSY of another kind, or of another origin, is an ordinary failure', () => {
    expect(run(states.transferring, full(1)).state.trouble?.count).toBe(1);
    expect(run(states.asking, failed(fault('BUSY'))).state.trouble?.count).toBe(1);
  });
});

describe('the reason of a chain’s wait', () => {
  const unreachable = failed(fault('UNREACHABLE'), 1000);
  const until = 1000 + limits.patience;

  test('stays the same over all tries, with the end of the patience, until the receiver is ready', () => {
    let state: ChainState = states.asking;
    for (const now of [1000, 2000, 3000]) {
      state = next(state, failed(fault('UNREACHABLE'), now), limits)[0];
      for (const event of [events.released, events.waited, events.held]) {
        expect(state.waits).toMatchObject({ error: { code: 'UNREACHABLE' }, until });
        state = next(state, event, limits)[0];
      }
    }
    expect(state.waits).toMatchObject({ until });
    expect(run(state, events.ready).state.waits).toBeUndefined();
  });

  test('has no end while a receiver is full, and is absent if the chain asks at once or has ended', () => {
    expect(run(states.asking, failed(fault('BUSY', { reason: 'queued' }))).state.waits).toEqual({
      error: fault('BUSY', { reason: 'queued' }),
    });
    expect(run(states.asking, failed(fault('BASE_MISSING'))).state.waits).toBeUndefined();
    expect(run(states.asking, unreachable, events.released, events.abort).state.waits).toBeUndefined();
  });

  test('lasts until the patience ends, over any number of retries', () => {
    const patient = { ...limits, patience: 1e6 };
    let state: ChainState = states.asking;
    let now = 1000;
    for (; state.phase !== 'failed'; now += backOff(99)) {
      for (const event of [failed(fault('UNREACHABLE'), now), events.released, events.waited, events.held]) {
        state = next(state, event, patient)[0];
      }
    }
    expect(now).toBeGreaterThan(1000 + patient.patience);
  });
});

describe('I5: a rollback that may have been done', () => {
  const asksFor = (phase: 'asking' | 'transferring', before: Step['before'], code: Code) => {
    const state: ChainState = { ...states[phase], steps: [{ ...step(2), ...(before && { before }) }] };
    return run(state, failed(fault(code)), events.released, events.waited).effects.slice(2);
  };

  test.each(['BUSY', 'LOCKED', 'UNREACHABLE', 'STREAM_BROKEN', 'TIMEOUT'] as const)(
    'is planned again and never requested again: %s while its stream was sent',
    (code) => expect(asksFor('transferring', back, code)).toEqual([{ type: 'plan' }]),
  );

  test('is requested again if it cannot have started; so is a renaming, which the receiver finds done', () => {
    expect(asksFor('asking', back, 'LOCKED')).toEqual([hold]);
    expect(asksFor('transferring', rotation, 'BUSY')).toEqual([hold]);
    expect(asksFor('transferring', undefined, 'BUSY')).toEqual([hold]);
  });
});

describe('a lock that another transfer holds', () => {
  /** Two refusals in a row, each by a receiver. */
  const twice = (one: ErrorDetails, two: ErrorDetails) =>
    run(
      states.asking,
      failed(fault('LOCKED', one)),
      events.released,
      events.waited,
      events.held,
      failed(fault('LOCKED', two)),
      events.released,
    ).state;

  test('fails the chain at the second refusal if its holder makes progress, with the holder’s name', () => {
    const details = { transfer: 'other1', by: 'i1', source: 'smos-02', life: 8 };
    expect(twice({ transfer: 'other1', by: 'i1', life: 7 }, details)).toMatchObject({
      phase: 'failed',
      error: { code: 'LOCKED', details },
    });
  });

  test.each<[string, ErrorDetails, ErrorDetails]>([
    [
      'whose holder makes no progress',
      { transfer: 'other1', by: 'i1', life: 7 },
      { transfer: 'other1', by: 'i1', life: 7 },
    ],
    [
      'that a transfer of the same job holds',
      { transfer: 'job1t1', by: 'i1', life: 7 },
      { transfer: 'job1t1', by: 'i1', life: 8 },
    ],
    ['that has another holder', { transfer: 'other1', by: 'i1', life: 7 }, { transfer: 'other2', by: 'i1', life: 8 }],
    [
      'reported by two instances that count differently',
      { transfer: 'other1', by: 'i1', life: 7 },
      { transfer: 'other1', by: 'i2', life: 8 },
    ],
    ['whose holder is unknown', {}, {}],
  ])('%s is waited for', (_what, one, two) => {
    expect(twice(one, two)).toMatchObject({ phase: 'waiting', error: { code: 'LOCKED' } });
  });

  test('is not waited for after the patience ends', () => {
    const dead = failed(fault('LOCKED', { transfer: 'other1', by: 'i1', life: 7 }), 1001 + limits.patience);
    const { state } = run({ ...states.asking, trouble }, dead, events.released);
    expect(state).toMatchObject({ phase: 'failed', error: { code: 'LOCKED' } });
  });

  test('starts the watch again after another failure between two refusals', () => {
    const locked = (life: number) => failed(fault('LOCKED', { transfer: 'other1', by: 'i1', life }));
    const again = [events.released, events.waited, events.held];
    const { state } = run(
      states.asking,
      locked(7),
      ...again,
      failed(fault('BUSY')),
      ...again,
      locked(8),
      events.released,
    );
    expect(state.phase).toBe('waiting');
  });
});

/** The possible answers to each effect; `cancel` and `report` want no answer. */
type Asking = Exclude<ChainEffect['type'], 'cancel' | 'report'>;

const someError = fc.constantFrom(...(Object.keys(codes) as Code[])).chain((code) =>
  fc
    .record({
      transfer: fc.constantFrom('other1', 'other2', 'job1t1'),
      life: fc.nat(3),
      by: fc.constantFrom('i1', 'i2'),
    })
    .map((details) => fault(code, details)),
);
const someFailure = fc.record({
  type: fc.constant('failed' as const),
  error: someError,
  now: fc.constant(0),
  moved: fc.boolean(),
});
const somePlan = fc.constantFrom(
  ...[[], [step(1)], [step(2)], [step(1), step(2)], [step(2), step(3), step(4)]].map(
    (plan) => ({ type: 'planned', steps: plan }) as const,
  ),
);

/** Answers of a world in which no snapshot ever arrives. */
const unlucky: Record<Asking, fc.Arbitrary<ChainEvent>> = {
  plan: fc.oneof(
    somePlan.filter((event) => event.type === 'planned' && event.steps.length > 0),
    someFailure,
  ),
  hold: fc.oneof(fc.constant(events.held), someFailure),
  ask: fc.oneof(fc.constantFrom(events.ready, events['ready-with-stale-partial']), someFailure),
  transfer: someFailure,
  release: fc.constant(events.released),
  wait: fc.constant(events.waited),
};
const usual: Record<Asking, fc.Arbitrary<ChainEvent>> = {
  ...unlucky,
  plan: fc.oneof(somePlan, fc.constant(events['plan-refused']), someFailure),
  ask: fc.oneof({ weight: 3, arbitrary: unlucky.ask }, fc.constant(failed(fault('BUSY', { reason: 'queued' })))),
  transfer: fc.oneof({ weight: 3, arbitrary: fc.constant(events.arrived) }, { weight: 1, arbitrary: someFailure }),
};

/** Plays a chain against a world until it ends or `most` answers were given, and checks each effect (I3). */
function play(
  gen: fc.GeneratorValue,
  world: Record<Asking, fc.Arbitrary<ChainEvent>>,
  abortAt: number,
  most: number,
): ChainState {
  let state = begin;
  let pending: Asking | undefined;
  let held = false;
  let reports = 0;
  let now = 0;

  const perform = (effect: ChainEffect): void => {
    expect(reports, 'no effects after the end').toBe(0);
    if (effect.type === 'report') {
      reports += 1;
      expect(held, 'I3: no hold is left at the end').toBe(false);
      return;
    }
    if (effect.type === 'cancel') return;
    expect(pending, 'one thing at a time').toBeUndefined();
    pending = effect.type;
    if (effect.type === 'hold') {
      expect(held, 'I3: one release for each hold').toBe(false);
      held = true;
    } else if (effect.type === 'release') {
      expect(held, 'I3: nothing is released twice').toBe(true);
      held = false;
    } else
      expect(held, `I3: holds stand around the running step, not while ${effect.type}`).toBe(
        ['ask', 'transfer'].includes(effect.type),
      );
  };
  const feed = (event: ChainEvent): void => {
    const [after, ...effects] = next(state, event, limits);
    state = after;
    for (const effect of effects) perform(effect);
  };

  perform({ type: 'plan' });
  for (let n = 0; n < most && reports === 0; n += 1) {
    if (n === abortAt) {
      // the runner's timer is cut short
      if (pending === 'wait') pending = undefined;
      feed(events.abort);
    }
    if (!pending) continue;
    const answer: ChainEvent = gen(() => world[pending ?? 'plan']);
    pending = undefined;
    now += 10;
    feed(answer.type === 'failed' ? { ...answer, now } : answer);
  }
  expect(reports, 'one report').toBe(['done', 'failed'].includes(state.phase) ? 1 : 0);
  return state;
}

test('I3: under any answers holds exist only around the running step, and each is released', () => {
  const ends = new Map<string, number>();
  fc.assert(
    fc.property(fc.gen(), fc.nat(120), (gen, abortAt) => {
      const { phase } = play(gen, usual, abortAt, 80);
      ends.set(phase, (ends.get(phase) ?? 0) + 1);
    }),
    { numRuns: 1000 },
  );
  for (const phase of ['done', 'failed']) expect(ends.get(phase) ?? 0).toBeGreaterThan(50);
});

test('a chain that always fails ends', () => {
  const most = maxTries * 8;
  fc.assert(
    fc.property(fc.gen(), (gen) => {
      expect(play(gen, unlucky, -1, most).phase).toBe('failed');
    }),
    { numRuns: 500 },
  );
});

test.each<[string, (turn: number) => ChainEvent]>([
  ['a listing that changes every time', (turn) => failed(fault('BASE_MISSING'), turn)],
  ['a dataset that is busy', (turn) => failed(fault('BUSY'), turn)],
  ['a link that breaks after every few bytes', (turn) => failed(broken, turn * 1e6, true)],
  ['a receiver that keeps its partial state', () => events['ready-with-stale-partial']],
])('a chain against %s ends', (_what, answer) => {
  let state: ChainState = begin;
  let turn = 0;
  for (; state.phase !== 'failed' && turn < maxTries * 8; turn += 1) {
    const plan: ChainEvent = { type: 'planned', steps: [step(1 + (turn % 2))] };
    state = run(state, events.waited, plan, events.held, answer(turn), events.released).state;
  }
  expect(state.phase).toBe('failed');
});

test('I5: a rollback that finds unlisted snapshots ends the chain; a renaming is planned again', () => {
  const event: ChainEvent = { type: 'failed', error: fault('DIVERGED'), now: 1000, moved: false };
  for (const [before, kind] of [
    [back, 'fail'],
    [rotation, 'wait'],
  ] as const) {
    const state: ChainState = { ...begin, steps: [{ ...step(2), before }], phase: 'transferring' };
    expect(next(state, event, limits)[0]).toMatchObject({ phase: 'releasing', after: { kind } });
  }
});

test('I9: an unfinished rollback that the target has noted is planned again', () => {
  const error = { ...fault('DIVERGED'), details: { reason: 'rollback-unfinished' } };
  const state: ChainState = { ...begin, steps: [{ ...step(2), before: back }], phase: 'transferring' };
  expect(next(state, { type: 'failed', error, now: 1000, moved: false }, limits)[0]).toMatchObject({
    phase: 'releasing',
    after: { kind: 'wait', ms: 0, backTo: 'plan' },
  });
});
