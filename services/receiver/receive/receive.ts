import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveReady, ReceiveStart, TransferState } from '../../../schemas/transfer.ts';
import { notBegun, unexplained } from './errors.ts';
import { acquireAll } from './locks.ts';
import { channelOf, type Incoming } from './open-channel.ts';
import { next, type ReceiveEffect, type ReceiveEvent } from './receive-state.ts';
import {
  clear,
  discard,
  dropLeft,
  look,
  makeParents,
  openRun,
  type ReceiveDeps,
  type Run,
  receive,
  resumable,
  statusOf,
  tell,
} from './run.ts';
import { verifyArrival } from './verify-arrival.ts';

/** One running receive. */
export interface Receive {
  readonly start: ReceiveStart;
  readonly incoming: Incoming;
  /** The answer to `recv.start`; rejects with the reason when it is refused. */
  readonly ready: Promise<ReceiveReady>;
  /** Resolves when the lock is given back. */
  readonly over: Promise<void>;
  /** Grows while the sender lives. */
  readonly life: number;
  status(): TransferState;
  abort(error: ErrorBody): void;
}

/** A sender that is alive has so many times the silence to begin its stream: `zfs send` begins with a record at once. */
const beginsWithin = 8;

/** How the effects of one receive come back to its state machine. */
interface Feeding {
  feed(event: ReceiveEvent): void;
  /** What a work ends with is an event, and so is how it fails. */
  fed(work: Promise<ReceiveEvent>, onError: (error: ErrorBody) => ReceiveEvent): void;
  broken(error: ErrorBody): void;
  readonly ready: PromiseWithResolvers<ReceiveReady>;
}

/** Begins one receive: takes the lock, looks, opens the channel, and performs what its state machine asks for. */
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
  /** What cannot even begin, on a connection that has closed say, ends this receive and not the process with all others. */
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
    get life() {
      return run.channel?.heard ?? 0;
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
  const { deps, start, say, compression } = run;
  const { open, secret } = channelOf(deps, start, run.incoming);
  let killer: NodeJS.Timeout | undefined;
  let waiting: NodeJS.Timeout | undefined;

  function grant(): void {
    const shared = resumable(run) === undefined ? start.shared : undefined;
    const onFirstFrame = (): void => {
      clearTimeout(waiting);
      feed({ type: 'first-frame' });
    };
    run.channel = open({ onFirstFrame, onEnd: () => feed({ type: 'end' }), onBroken: broken }, shared);
    waiting = setTimeout(() => broken(notBegun(start, deps.silenceMs * beginsWithin)), deps.silenceMs * beginsWithin);
    ready.resolve({
      transfer: start.transfer,
      secret,
      window: deps.window,
      revision: run.lease?.revision ?? 0,
      // also what would be dropped: whether it may be is for the sender to judge
      ...(run.admission.token !== undefined && { resumeToken: run.admission.token }),
      ...(compression && { compression }),
      ...(shared !== undefined && { shared: true }),
    });
  }

  return {
    look: () => fed(look(run), (error) => ({ type: 'refused', error })),
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
      killer = setTimeout(() => {
        run.child?.kill('SIGTERM');
        killer = setTimeout(() => run.child?.kill('SIGKILL'), timing.receive.graceMs);
      }, timing.receive.graceMs);
    },
    kill: () => run.child?.kill('SIGKILL'),
    verify: () =>
      fed(
        verifyArrival(deps.zfs, start, deps.host).then(() => ({ type: 'verified' })),
        (error) => ({ type: 'not-verified', error }),
      ),
    'say-done'() {
      deps.arrivals.note(start.dataset, start.to.guid);
      deps.baseHolds.arrived(start);
      say.done();
      run.channel?.done({ guid: start.to.guid });
      tell(run, 'done');
    },
    'say-failed'() {
      const error = run.state.error ?? unexplained;
      say.failed(error);
      run.channel?.failed(error);
      tell(run, 'failed');
    },
    release() {
      clearTimeout(killer);
      clearTimeout(waiting);
      fed(
        dropLeft(run).then(async () => {
          await run.lease?.release();
          return { type: 'released' };
        }),
        () => ({ type: 'released' }),
      );
      // last, so that the lock is given back whatever becomes of it
      run.channel?.close();
    },
  };
}
