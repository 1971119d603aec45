import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveReady, ReceiveStart, TransferState } from '../../../schemas/transfer.ts';
import { notStarted, unexplained } from './errors.ts';
import { acquireAll } from './locks.ts';
import { channelOf, type Incoming } from './open-channel.ts';
import { next, type ReceiveEffect, type ReceiveEvent } from './receive-state.ts';
import {
  clear,
  discard,
  dropLeft,
  inspect,
  makeParents,
  openRun,
  publish,
  type ReceiveDeps,
  type Run,
  receive,
  resumable,
  statusOf,
} from './run.ts';
import { verifyArrival } from './verify-arrival.ts';

/** One running receive. */
export interface Receive {
  readonly start: ReceiveStart;
  readonly incoming: Incoming;
  /** The answer to `recv.start`; rejects with the reason when it is refused. */
  readonly ready: Promise<ReceiveReady>;
  /** Resolves when the lock is released. */
  readonly over: Promise<void>;
  /** Grows while the sender is alive. */
  readonly progress: number;
  status(): TransferState;
  abort(error: ErrorBody): void;
}

/** A sender that is alive has this many times the silence to start its stream: `zfs send` writes a record at once. */
const startsWithin = 8;

/** By which the effects of one receive reach its state machine. */
interface Feeding {
  feed(event: ReceiveEvent): void;
  /** Work ends with an event, and so does its failure. */
  fed(work: Promise<ReceiveEvent>, onError: (error: ErrorBody) => ReceiveEvent): void;
  broken(error: ErrorBody): void;
  readonly ready: PromiseWithResolvers<ReceiveReady>;
}

/** Begins one receive: takes the lock, inspects the target, opens the channel, and performs the effects of its state machine. */
export function beginReceive(options: ReceiveDeps, start: ReceiveStart, incoming: Incoming): Receive {
  const run = openRun(options, start, incoming);
  const { deps } = run;
  const ready = Promise.withResolvers<ReceiveReady>();
  const over = Promise.withResolvers<void>();

  function feed(event: ReceiveEvent): void {
    const [after, ...effects] = next(run.state, event);
    run.state = after;
    for (const effect of effects) attempt(effect);
    if (run.state.phase === 'over') over.resolve();
  }
  /** An effect that cannot begin, for example on a closed connection, ends this receive and not the process. */
  function attempt(effect: ReceiveEffect): void {
    try {
      perform[effect]();
    } catch (thrown) {
      const error = ZpsendError.from(thrown);
      ready.reject(error);
      broken(error.toBody());
    }
  }
  const fed = (work: Promise<ReceiveEvent>, onError: (error: ErrorBody) => ReceiveEvent): void => {
    work.then(feed, (thrown) => feed(onError(ZpsendError.from(thrown).toBody())));
  };
  const broken = (error: ErrorBody) => feed({ type: 'broken', error });

  const perform = effectsOf(run, { feed, fed, broken, ready });
  fed(lock(run, feed), (error) => ({
    type: 'refused',
    error: { ...error, details: { ...error.details, by: deps.instance } },
  }));
  return {
    start,
    incoming,
    ready: ready.promise,
    over: over.promise,
    get progress() {
      return run.channel?.progress ?? 0;
    },
    status: () => statusOf(run),
    abort: broken,
  };
}

async function lock(run: Run, feed: Feeding['feed']): Promise<ReceiveEvent> {
  const { deps, start } = run;
  const locks = await deps.locks();
  const lease = await acquireAll(locks, deps.host, deps.instance, start);
  run.lease = lease;
  lease.lost.addEventListener('abort', () =>
    feed({ type: 'lease-lost', error: ZpsendError.from(lease.lost.reason).toBody() }),
  );
  return { type: 'locked' };
}

function effectsOf(run: Run, { feed, fed, broken, ready }: Feeding): Record<ReceiveEffect, () => void> {
  const { deps, start, log } = run;
  const { clock } = deps;
  const { open, secret } = channelOf(deps, start, run.incoming);
  let cancelKill = (): void => {};
  let cancelWait = (): void => {};

  function grant(): void {
    const shared = resumable(run) === undefined ? start.shared : undefined;
    const onFirstFrame = (): void => {
      cancelWait();
      feed({ type: 'first-frame' });
    };
    run.channel = open({ onFirstFrame, onEnd: () => feed({ type: 'end' }), onBroken: broken }, shared);
    const withinMs = deps.silenceMs * startsWithin;
    cancelWait = clock.after(withinMs, () => broken(notStarted(start, withinMs)));
    ready.resolve(answerOf(run, secret, shared !== undefined));
  }

  return {
    inspect: () => fed(inspect(run), (error) => ({ type: 'refused', error })),
    grant,
    refuse: () => ready.reject(ZpsendError.fromBody(run.state.error ?? unexplained)),
    discard: () => fed(discard(run), (error) => ({ type: 'receive-failed', error })),
    clear: () => fed(clear(run), (error) => ({ type: 'receive-failed', error })),
    'make-parents': () => fed(makeParents(run), (error) => ({ type: 'receive-failed', error })),
    spawn: () => fed(receive(run, broken), (error) => ({ type: 'receive-failed', error })),
    'close-input': () => run.channel?.finishInput(),
    interrupt() {
      run.channel?.cutInput();
      run.child?.stdin.destroy();
      cancelKill = killLater(run);
    },
    kill: () => run.child?.kill('SIGKILL'),
    verify: () =>
      fed(
        verifyArrival(deps.zfs, start, deps.host).then(() => ({ type: 'verified' })),
        (error) => ({ type: 'not-verified', error }),
      ),
    'report-done'() {
      deps.recentlyVerified.add(start.targetDataset, start.to.guid);
      deps.lastReceivedHolds.received(start);
      log.done();
      run.channel?.done({ guid: start.to.guid });
      publish(run, 'done');
    },
    'report-failed'() {
      const error = run.state.error ?? unexplained;
      log.failed(error);
      run.channel?.failed(error);
      publish(run, 'failed');
    },
    release() {
      cancelKill();
      cancelWait();
      fed(
        dropLeft(run).then(async () => {
          await run.lease?.release();
          return { type: 'released' };
        }),
        () => ({ type: 'released' }),
      );
      // last, so that the lock is released even where this throws
      run.channel?.close();
    },
  };
}

const answerOf = (
  { deps, start, lease, admission, compression }: Run,
  secret: string,
  shared: boolean,
): ReceiveReady => ({
  transfer: start.transfer,
  secret,
  window: deps.window,
  revision: lease?.revision ?? 0,
  // also for partial state that may be discarded: the sender decides that
  ...(admission.token !== undefined && { resumeToken: admission.token }),
  ...(compression && { compression }),
  ...(shared && { shared: true }),
});

/** Kills a `zfs receive` that does not end by itself, at last with SIGKILL. @returns cancels this */
function killLater(run: Run): () => void {
  const { clock } = run.deps;
  const { graceMs } = timing.receive;
  let cancel = clock.after(graceMs, () => {
    run.child?.kill('SIGTERM');
    cancel = clock.after(graceMs, () => run.child?.kill('SIGKILL'));
  });
  return () => cancel();
}
