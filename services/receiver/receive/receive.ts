import type { ChannelReceiver } from '../../../lib/bus/channel/channel.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { publishEvent } from '../../../lib/bus/events/events.ts';
import type { Lease } from '../../../lib/bus/locks/lease.ts';
import type { Locks } from '../../../lib/bus/locks/locks.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { answerTo } from '../../../lib/compression/choice.ts';
import type { Zfs, ZfsProcess } from '../../../lib/zfs/zfs.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { leafOf } from '../../../schemas/names.ts';
import type { ReceiveReady, ReceiveStart, TransferState } from '../../../schemas/transfer.ts';
import { type Admission, checkView, namesToLookAt, withMarks } from '../admission/admission.ts';
import { otherName } from '../admission/allowed-conflicts.ts';
import { checkKey } from '../admission/key-check.ts';
import { receiveProperties } from '../admission/properties.ts';
import type { BaseHolds } from '../bases/last-received-holds.ts';
import { clearTarget } from '../conflicts/resolve.ts';
import { checkedInput, decodedInto } from './checked-input.ts';
import { notBegun, unexplained } from './errors.ts';
import { heldInput } from './held-input.ts';
import { acquireAll, noLease } from './locks.ts';
import { receiveLog } from './log.ts';
import { channelOf, type DirectDeps, type Incoming } from './open-channel.ts';
import { begin, next, type ReceiveEffect, type ReceiveEvent, type ReceiveState } from './receive-state.ts';
import type { Arrivals } from './recently-verified.ts';
import type { ResumablePools } from './resumable-pools.ts';
import { underLease } from './under-lock.ts';
import { verifyArrival } from './verify-arrival.ts';

export interface ReceiveDeps extends DirectDeps {
  readonly instance: string;
  readonly zfs: Zfs;
  readonly bus: Bus;
  readonly locks: () => Promise<Locks>;
  readonly arrivals: Arrivals;
  readonly resumablePools: ResumablePools;
  readonly baseHolds: BaseHolds;
  readonly allow: ReceiveConfig['allow'];
  readonly properties: ReceiveConfig['properties'];
}

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
/** How long `zfs receive` may take to notice the end of its input before it is killed, in milliseconds. */
const graceMs = 10_000;

/** Begins one receive: takes the lock, looks, opens the channel, and performs what its state machine asks for. */
export function beginReceive(options: ReceiveDeps, start: ReceiveStart, incoming: Incoming): Receive {
  const held = () => lease ?? noLease;
  const say = receiveLog(options.log, options.host, start);
  const { log } = say;
  const zfs = underLease(options.zfs, held);
  const deps: ReceiveDeps = { ...options, zfs, log };
  const { host } = deps;
  const { open, secret } = channelOf(deps, start, incoming);
  const ready = Promise.withResolvers<ReceiveReady>();
  const over = Promise.withResolvers<void>();
  const began = performance.now();
  const started = new Date().toISOString();
  const compression = answerTo(start.compression);
  let state: ReceiveState = begin;
  let lease: Lease | undefined;
  let admission: Admission = { parents: [] };
  let channel: ChannelReceiver | undefined;
  let child: ZfsProcess | undefined;
  let killer: NodeJS.Timeout | undefined;
  let waiting: NodeJS.Timeout | undefined;

  const status = (): TransferState => ({
    transfer: start.transfer,
    job: start.job,
    source: start.source,
    dataset: start.dataset,
    snapshot: start.to.name,
    state: state.phase,
    received: channel?.received ?? 0,
    consumed: channel?.consumed ?? 0,
    started,
    seconds: Math.round(performance.now() - began) / 1000,
  });
  const discards = () => admission.token !== undefined && start.partial === 'discard';
  const resumable = () => (discards() ? undefined : admission.token);
  const tell = (what: 'started' | 'done' | 'failed') =>
    publishEvent(deps.bus, subjects.event(host, 'recv', what), {
      ...status(),
      ...(what !== 'started' && { state: what }),
    });

  function feed(event: ReceiveEvent): void {
    const [after, ...effects] = next(state, event);
    state = after;
    for (const effect of effects) attempt(effect);
    if (state.phase === 'over') over.resolve();
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

  const perform: Record<ReceiveEffect, () => void> = {
    look: () => fed(look(), (error) => ({ type: 'refused', error })),
    grant() {
      const shared = resumable() === undefined ? start.shared : undefined;
      const onFirstFrame = (): void => {
        clearTimeout(waiting);
        feed({ type: 'first-frame' });
      };
      channel = open({ onFirstFrame, onEnd: () => feed({ type: 'end' }), onBroken: broken }, shared);
      waiting = setTimeout(() => broken(notBegun(start, deps.silenceMs * beginsWithin)), deps.silenceMs * beginsWithin);
      ready.resolve({
        transfer: start.transfer,
        secret,
        window: deps.window,
        revision: lease?.revision ?? 0,
        // also what would be dropped: whether it may be is for the sender to judge
        ...(admission.token !== undefined && { resumeToken: admission.token }),
        ...(compression && { compression }),
        ...(shared !== undefined && { shared: true }),
      });
    },
    refuse: () => ready.reject(ZpsendError.fromBody(state.error ?? unexplained)),
    discard: () => fed(discard(), (error) => ({ type: 'receive-failed', error })),
    clear: () => fed(clear(), (error) => ({ type: 'receive-failed', error })),
    'make-parents': () => fed(makeParents(), (error) => ({ type: 'receive-failed', error })),
    spawn: () => fed(receive(), (error) => ({ type: 'receive-failed', error })),
    'close-input': () => channel?.finishInput(),
    interrupt() {
      channel?.cutInput();
      child?.stdin.destroy();
      killer = setTimeout(() => {
        child?.kill('SIGTERM');
        killer = setTimeout(() => child?.kill('SIGKILL'), graceMs);
      }, graceMs);
    },
    kill: () => child?.kill('SIGKILL'),
    verify: () =>
      fed(
        verifyArrival(zfs, start, host).then(() => ({ type: 'verified' })),
        (error) => ({ type: 'not-verified', error }),
      ),
    'say-done'() {
      deps.arrivals.note(start.dataset, start.to.guid);
      deps.baseHolds.arrived(start);
      say.done();
      channel?.done({ guid: start.to.guid });
      tell('done');
    },
    'say-failed'() {
      const error = state.error ?? unexplained;
      say.failed(error);
      channel?.failed(error);
      tell('failed');
    },
    release() {
      clearTimeout(killer);
      clearTimeout(waiting);
      fed(
        dropLeft().then(async () => {
          await lease?.release();
          return { type: 'released' };
        }),
        () => ({ type: 'released' }),
      );
      // last, so that the lock is given back whatever becomes of it
      channel?.close();
    },
  };

  async function look(): Promise<ReceiveEvent> {
    const chained =
      !start.before && start.origin === undefined && deps.arrivals.isNewest(start.dataset, start.from?.guid);
    for (const name of [start.dataset, otherName(start) ?? '']) deps.arrivals.forget(name);
    deps.baseHolds.began(start.dataset);
    // what is raw may lock its dataset out, and is looked at each time
    if (chained && !start.raw) return { type: 'accepted', prepare: 'nothing' };
    const [seen] = await Promise.all([zfs.look(namesToLookAt(start)), deps.resumablePools.learn(start.dataset)]);
    admission = checkView(start, host, await withMarks(zfs, start, seen), deps);
    await checkKey(zfs, start, host, seen);
    const prepare = discards() ? 'discard' : admission.parents.length > 0 ? 'make-parents' : 'nothing';
    return { type: 'accepted', prepare: start.before ? 'clear' : prepare };
  }

  async function discard(): Promise<ReceiveEvent> {
    await held().confirmed();
    say.partialDiscarded();
    await zfs.abortReceive(start.dataset);
    return { type: 'prepared' };
  }

  async function clear(): Promise<ReceiveEvent> {
    await held().confirmed();
    await clearTarget(deps, start, { discard: discards(), stopped: () => state.error !== undefined });
    return { type: 'prepared' };
  }

  /** Another receive may make the same ones at the same time. */
  async function makeParents(): Promise<ReceiveEvent> {
    for (const parent of admission.parents) {
      // what broke meanwhile needs no more of them
      if (state.error) break;
      const made = await zfs.createPlaceholder(parent);
      if (made) say.parentMade(parent);
    }
    return { type: 'prepared' };
  }

  /** Reaches its first await before it returns; whatever goes wrong, also before that, is how the receive failed. */
  async function receive(): Promise<ReceiveEvent> {
    held().assertHeld();
    const resuming = resumable() !== undefined;
    const kind = resuming ? 'resumed' : start.from ? 'incremental' : 'initial';
    say.started(kind);
    child = zfs.receive({
      dataset: start.dataset,
      snapshot: leafOf(start.to.name) ?? '',
      resumable: deps.resumablePools.has(start.dataset),
      // partial state knows its origin already
      ...(start.origin !== undefined && !resuming && { origin: start.origin }),
      ...receiveProperties(start, admission.type, deps.properties),
    });
    const input = checkedInput(heldInput(child.stdin, held()), start, host, broken);
    channel?.attach(compression ? decodedInto(input, start, broken) : input);
    tell('started');
    for (const unset of await child.done) log.warn('receive.property-unset', unset);
    return { type: 'exited' };
  }

  /** No stream continues what a stored one has left (decision 0013), and in a full pool it keeps the room of others. */
  async function dropLeft(): Promise<void> {
    if (!('stored' in incoming) || !child || state.error?.code !== 'NO_SPACE' || lease?.lost.aborted !== false) return;
    // where nothing was left there is nothing to drop
    await zfs.abortReceive(start.dataset).catch(() => {});
  }

  async function lock(): Promise<ReceiveEvent> {
    const locks = await deps.locks();
    lease = await acquireAll(locks, host, deps.instance, start);
    lease.lost.addEventListener('abort', () =>
      feed({ type: 'lease-lost', error: ZpsendError.from(lease?.lost.reason).toBody() }),
    );
    return { type: 'locked' };
  }

  fed(lock(), (error) => ({ type: 'refused', error: { ...error, details: { ...error.details, by: deps.instance } } }));
  return {
    start,
    incoming,
    ready: ready.promise,
    over: over.promise,
    get life() {
      return channel?.heard ?? 0;
    },
    status,
    abort: broken,
  };
}
