import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Evidence, Step } from '../../../schemas/plan.ts';
import {
  backOff,
  type Holder,
  holderIn,
  isQueued,
  isRival,
  isUnsettled,
  mostTries,
  type Remedy,
  remedyOf,
} from './error-policy.ts';

/**
 * The state of one chain, the steps of one dataset: `next(state, event, limits) -> [state, effects]`. A runner performs the effects.
 *
 *   planning -> holding -> asking -> transferring -> releasing -> (holding | waiting | done | failed)
 *
 * Holds exist only around the running step (I3): every path out of a step leads through `releasing`.
 */
export type ChainPhase =
  | 'planning'
  | 'holding'
  | 'asking'
  | 'transferring'
  | 'releasing'
  | 'waiting'
  | 'done'
  | 'failed';

/** The phase after the holds are released. */
type After =
  | { readonly kind: 'next' }
  | { readonly kind: 'wait'; readonly ms: number; readonly backTo: 'plan' | 'hold' }
  | { readonly kind: 'fail'; readonly error: ErrorBody };

export interface ChainState {
  readonly phase: ChainPhase;
  readonly steps: readonly Step[];
  /** The step that runs. */
  readonly index: number;
  /** Steps done so far, over all plans. */
  readonly done: number;
  readonly after?: After;
  /** Whether the next request discards older partial state on the target. */
  readonly discard: boolean;
  /** Consecutive failures, since when (monotonic ms), and on which step. */
  readonly trouble: {
    readonly count: number;
    readonly since: number;
    readonly step: string;
    readonly replans: number;
  } | null;
  /** Consecutive answers that the receiver runs as many receives as it may. */
  readonly turns: number;
  readonly holder?: Holder;
  /** The last failure, or why it ended. */
  readonly error?: ErrorBody;
  /** Why it waits, until the receiver is ready; `until` in monotonic ms, absent where the wait has no end. */
  readonly waits?: { readonly error: ErrorBody; readonly until?: number };
  readonly evidence?: Evidence;
  readonly aborted?: ErrorBody;
}

export type ChainEvent =
  | { readonly type: 'planned'; readonly steps: readonly Step[] }
  | { readonly type: 'plan-refused'; readonly error: ErrorBody; readonly evidence?: Evidence }
  | { readonly type: 'held' }
  | { readonly type: 'ready' }
  /** The receiver is ready, but the partial state it has is not of this step. */
  | { readonly type: 'ready-with-stale-partial' }
  | { readonly type: 'arrived' }
  /** Listing, holding, asking or transferring failed; `moved`: the target consumed bytes first. */
  | { readonly type: 'failed'; readonly error: ErrorBody; readonly now: number; readonly moved: boolean }
  | { readonly type: 'released' }
  | { readonly type: 'waited' }
  | { readonly type: 'abort'; readonly error: ErrorBody };

export type ChainEffect =
  | { readonly type: 'plan' }
  | { readonly type: 'hold' }
  | { readonly type: 'ask'; readonly discard: boolean }
  | { readonly type: 'transfer' }
  /** Ends the transfer at the receiver. */
  | { readonly type: 'cancel' }
  | { readonly type: 'release' }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'report' };

export interface ChainLimits {
  /** How long consecutive failures are borne, in ms. */
  readonly patience: number;
  /** Is it a transfer of this chain's job, by its id or its hash? */
  readonly ours: (transfer: string) => boolean;
}

/** Consecutive plans that begin with the step that has just failed. */
const maxReplans = 3;

type Next = readonly [ChainState, ...ChainEffect[]];

const kept: ErrorBody = {
  code: 'RESUME_STALE',
  message: 'the receiver keeps partial state that is not of this step, though it was asked to discard it',
  retryable: true,
};

export const begin: ChainState = {
  phase: 'planning',
  steps: [],
  index: 0,
  done: 0,
  discard: false,
  trouble: null,
  turns: 0,
};

const stepKey = (step: Step | undefined): string => (step ? `${step.from?.guid ?? ''}>${step.to.guid}` : '');

export const currentStep = (state: ChainState): Step | undefined => state.steps[state.index];

function withoutWaits({ waits: _, ...rest }: ChainState): ChainState {
  return rest;
}

/** Does another step follow at once when this one's holds are released? Its base stays held then. */
export const goesOn = (state: ChainState): boolean =>
  state.after?.kind === 'next' && !state.aborted && currentStep(state) !== undefined;

function ended(state: ChainState, error: ErrorBody | undefined, evidence?: Evidence): Next {
  const { error: _, waits: __, ...rest } = state;
  return [
    { ...rest, phase: error ? 'failed' : 'done', ...(error && { error }), ...(evidence && { evidence }) },
    { type: 'report' },
  ];
}

const releasing = (state: ChainState, after: After): Next => [
  { ...state, phase: 'releasing', after },
  { type: 'release' },
];

function startStep(state: ChainState): Next {
  if (state.aborted) return ended(state, state.aborted);
  if (!currentStep(state)) return ended(state, undefined);
  return [{ ...state, phase: 'holding' }, { type: 'hold' }];
}

function remedyFor(state: ChainState, error: ErrorBody, limits: ChainLimits): Remedy {
  if (state.aborted) return 'fail';
  if (state.phase === 'planning' && remedyOf(error) === 'replan') return 'fail';
  // a rollback may destroy only what its plan lists
  if (error.code === 'DIVERGED' && currentStep(state)?.before?.kind === 'rollback')
    return isUnsettled(error) ? 'replan' : 'fail';
  if (isRival(state.holder, holderIn(error), limits.ours)) return 'fail';
  return remedyOf(error);
}

/** Waits for its turn. The receiver is alive, so patience with earlier failures starts again. */
function queue(state: ChainState, error: ErrorBody, now: number): Next {
  const { holder: _, ...rest } = state;
  const trouble = state.trouble && { ...state.trouble, since: now };
  const queued = { ...rest, trouble, error, waits: { error }, turns: state.turns + 1 };
  return releasing(queued, { kind: 'wait', ms: backOff(state.turns), backTo: 'hold' });
}

function afterFailure(state: ChainState, event: ChainEvent & { type: 'failed' }, limits: ChainLimits): Next {
  const { error, now } = event;
  if (isQueued(error) && state.phase === 'asking') return queue(state, error, now);
  const remedy = remedyFor(state, error, limits);
  const step = stepKey(currentStep(state));
  const known = state.trouble?.step === step ? state.trouble : null;
  const trouble = {
    count: (state.trouble?.count ?? 0) + 1,
    since: event.moved ? now : (known?.since ?? now),
    step,
    replans: (known?.replans ?? 0) + (remedy === 'replan' ? 1 : 0),
  };
  const holder = holderIn(error);
  const { holder: _, ...rest } = state;
  const troubled: ChainState = {
    ...rest,
    trouble,
    turns: 0,
    error,
    ...(holder && { holder }),
    discard: remedy === 'discard' || (state.discard && remedy === 'wait'),
  };
  const finish = (after: After, more: Pick<ChainState, 'waits'> = {}): Next =>
    state.phase === 'planning' ? leave({ ...troubled, ...more, after }) : releasing({ ...troubled, ...more }, after);
  const isFinal =
    remedy === 'fail' ||
    trouble.count > mostTries(limits.patience) ||
    trouble.replans > maxReplans ||
    (remedy !== 'replan' && now - trouble.since > limits.patience);
  if (isFinal) return finish({ kind: 'fail', error: state.aborted ?? error });
  const ms = remedy === 'replan' || remedy === 'discard' ? 0 : backOff(holder ? 2 : trouble.count - 1);
  // a receiver that has seen the stream begin may have done the rollback, whether or not it has reported that
  const isStale = state.phase === 'transferring' && currentStep(state)?.before?.kind === 'rollback';
  const backTo = remedy === 'wait' && state.phase !== 'planning' && !isStale ? 'hold' : 'plan';
  return finish(
    { kind: 'wait', ms, backTo },
    ms > 0 ? { waits: { error, until: trouble.since + limits.patience } } : {},
  );
}

/** Continues with `after`, once the holds are released. */
function leave(state: ChainState): Next {
  const { after, ...rest } = state;
  if (!after || after.kind === 'next') return startStep(rest);
  if (after.kind === 'fail' || rest.aborted) {
    return ended(rest, rest.aborted ?? (after.kind === 'fail' ? after.error : undefined));
  }
  return [
    { ...rest, phase: 'waiting', after },
    { type: 'wait', ms: after.ms },
  ];
}

function onAbort(state: ChainState, error: ErrorBody): Next {
  const aborted = { ...state, aborted: state.aborted ?? error };
  switch (state.phase) {
    case 'planning':
    case 'waiting':
      return ended(aborted, error);
    case 'transferring':
      return [aborted, { type: 'cancel' }];
    default:
      return [aborted]; // the pending answer ends it
  }
}

/** One event of a chain. An event that does not fit the phase changes nothing. */
export function next(state: ChainState, event: ChainEvent, limits: ChainLimits): Next {
  if (state.phase === 'done' || state.phase === 'failed') return [state];
  switch (event.type) {
    case 'abort':
      return onAbort(state, event.error);
    case 'planned':
      if (state.phase !== 'planning') return [state];
      return startStep({ ...state, steps: event.steps, index: 0 });
    case 'plan-refused':
      return state.phase === 'planning' ? ended(state, state.aborted ?? event.error, event.evidence) : [state];
    case 'held':
      if (state.phase !== 'holding') return [state];
      if (state.aborted) return releasing(state, { kind: 'fail', error: state.aborted });
      return [
        { ...state, phase: 'asking' },
        { type: 'ask', discard: state.discard },
      ];
    case 'ready':
      if (state.phase !== 'asking') return [state];
      if (state.aborted) {
        const [out, ...effects] = releasing(state, { kind: 'fail', error: state.aborted });
        return [out, { type: 'cancel' }, ...effects];
      }
      return [{ ...withoutWaits(state), phase: 'transferring', turns: 0 }, { type: 'transfer' }];
    case 'ready-with-stale-partial': {
      if (state.phase !== 'asking') return [state];
      const after: After = state.discard ? { kind: 'fail', error: kept } : { kind: 'wait', ms: 0, backTo: 'hold' };
      const [out, ...effects] = releasing({ ...state, discard: true }, after);
      return [out, { type: 'cancel' }, ...effects];
    }
    case 'arrived': {
      if (state.phase !== 'transferring') return [state];
      const { error: _, holder: __, ...good } = state;
      return releasing(
        { ...good, index: state.index + 1, done: state.done + 1, discard: false, trouble: null },
        { kind: 'next' },
      );
    }
    case 'failed':
      return ['planning', 'holding', 'asking', 'transferring'].includes(state.phase)
        ? afterFailure(state, event, limits)
        : [state];
    case 'released':
      return state.phase === 'releasing' ? leave(state) : [state];
    case 'waited': {
      if (state.phase !== 'waiting') return [state];
      const { after, ...rest } = state;
      if (after?.kind === 'wait' && after.backTo === 'hold') return startStep(rest);
      return [{ ...rest, phase: 'planning' }, { type: 'plan' }];
    }
  }
}
