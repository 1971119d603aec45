import type { ChannelReceiver } from '../../../lib/bus/channel/channel.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { publishEvent } from '../../../lib/bus/events/events.ts';
import type { Lease } from '../../../lib/bus/locks/lease.ts';
import type { Locks } from '../../../lib/bus/locks/locks.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { answerTo } from '../../../lib/compression/choice.ts';
import type { Zfs, ZfsProcess } from '../../../lib/zfs/zfs.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { leafOf } from '../../../schemas/names.ts';
import type { ReceiveReady, ReceiveStart, TransferState } from '../../../schemas/transfer.ts';
import { type Admission, checkView, namesToLookAt, withMarks } from '../admission/admission.ts';
import { otherName } from '../admission/allowed-conflicts.ts';
import { checkKey } from '../admission/key-check.ts';
import { receiveProperties } from '../admission/properties.ts';
import type { BaseHolds } from '../bases/last-received-holds.ts';
import { clearTarget } from '../conflicts/resolve.ts';
import { checkedInput, decodedInto } from './checked-input.ts';
import { heldInput } from './held-input.ts';
import { noLease } from './locks.ts';
import { receiveLog } from './log.ts';
import type { DirectDeps, Incoming } from './open-channel.ts';
import { begin, type ReceiveEvent, type ReceiveState } from './receive-state.ts';
import type { Arrivals } from './recently-verified.ts';
import type { ResumablePools } from './resumable-pools.ts';
import { underLease } from './under-lock.ts';

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

/** What one receive has got hold of so far. */
export interface Run {
  /** Its `zfs` changes nothing without the lease. */
  readonly deps: ReceiveDeps;
  readonly start: ReceiveStart;
  readonly incoming: Incoming;
  readonly say: ReturnType<typeof receiveLog>;
  readonly compression: ReceiveReady['compression'];
  readonly started: string;
  /** Monotonic milliseconds. */
  readonly began: number;
  state: ReceiveState;
  lease: Lease | undefined;
  admission: Admission;
  channel: ChannelReceiver | undefined;
  child: ZfsProcess | undefined;
}

/** A receive of which nothing has begun. */
export function openRun(options: ReceiveDeps, start: ReceiveStart, incoming: Incoming): Run {
  const say = receiveLog(options.log, options.host, start);
  const run: Run = {
    deps: { ...options, log: say.log, zfs: underLease(options.zfs, () => held(run)) },
    start,
    incoming,
    say,
    compression: answerTo(start.compression),
    started: new Date().toISOString(),
    began: performance.now(),
    state: begin,
    lease: undefined,
    admission: { parents: [] },
    channel: undefined,
    child: undefined,
  };
  return run;
}

const held = (run: Run): Pick<Lease, 'assertHeld' | 'confirmed'> => run.lease ?? noLease;
const discards = ({ admission, start }: Run): boolean => admission.token !== undefined && start.partial === 'discard';
/** The token that the stream goes on from. */
export const resumable = (run: Run): string | undefined => (discards(run) ? undefined : run.admission.token);

export const statusOf = ({ start, state, channel, started, began }: Run): TransferState => ({
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
/** Publishes what has become of it, as an event. */
export const tell = (run: Run, what: 'started' | 'done' | 'failed'): void =>
  publishEvent(run.deps.bus, subjects.event(run.deps.host, 'recv', what), {
    ...statusOf(run),
    ...(what !== 'started' && { state: what }),
  });

/** Looks at what is there, unless the last receive of this process has just said so. */
export async function look(run: Run): Promise<ReceiveEvent> {
  const { deps, start } = run;
  const chained =
    !start.before && start.origin === undefined && deps.arrivals.isNewest(start.dataset, start.from?.guid);
  for (const name of [start.dataset, otherName(start) ?? '']) deps.arrivals.forget(name);
  deps.baseHolds.began(start.dataset);
  // what is raw may lock its dataset out, and is looked at each time
  if (chained && !start.raw) return { type: 'accepted', prepare: 'nothing' };
  const [seen] = await Promise.all([deps.zfs.inspect(namesToLookAt(start)), deps.resumablePools.learn(start.dataset)]);
  run.admission = checkView(start, deps.host, await withMarks(deps.zfs, start, seen), deps);
  await checkKey(deps.zfs, start, deps.host, seen);
  const prepare = discards(run) ? 'discard' : run.admission.parents.length > 0 ? 'make-parents' : 'nothing';
  return { type: 'accepted', prepare: start.before ? 'clear' : prepare };
}

/** Drops partial state that nothing continues. */
export async function discard(run: Run): Promise<ReceiveEvent> {
  const { deps, start, say } = run;
  await held(run).confirmed();
  say.partialDiscarded();
  await deps.zfs.abortReceive(start.dataset);
  return { type: 'prepared' };
}

/** Makes room for what comes, as the request's conflict policy says. */
export async function clear(run: Run): Promise<ReceiveEvent> {
  const { deps, start } = run;
  await held(run).confirmed();
  await clearTarget(deps, start, { discard: discards(run), stopped: () => run.state.error !== undefined });
  return { type: 'prepared' };
}

/** Another receive may make the same ones at the same time. */
export async function makeParents(run: Run): Promise<ReceiveEvent> {
  const { deps, say } = run;
  for (const parent of run.admission.parents) {
    // what broke meanwhile needs no more of them
    if (run.state.error) break;
    const made = await deps.zfs.createPlaceholder(parent);
    if (made) say.parentMade(parent);
  }
  return { type: 'prepared' };
}

/** Reaches its first await before it returns; whatever goes wrong, also before that, is how the receive failed. */
export async function receive(run: Run, broken: (error: ErrorBody) => void): Promise<ReceiveEvent> {
  const { deps, start, say, compression } = run;
  held(run).assertHeld();
  const resuming = resumable(run) !== undefined;
  const kind = resuming ? 'resumed' : start.from ? 'incremental' : 'initial';
  say.started(kind);
  run.child = deps.zfs.receive({
    dataset: start.dataset,
    snapshot: leafOf(start.to.name) ?? '',
    resumable: deps.resumablePools.has(start.dataset),
    // partial state knows its origin already
    ...(start.origin !== undefined && !resuming && { origin: start.origin }),
    ...receiveProperties(start, run.admission.type, deps.properties),
  });
  const input = checkedInput(heldInput(run.child.stdin, held(run)), start, deps.host, broken);
  run.channel?.attach(compression ? decodedInto(input, start, broken) : input);
  tell(run, 'started');
  for (const unset of await run.child.done) deps.log.warn('receive.property-unset', unset);
  return { type: 'exited' };
}

/** No stream continues what a stored one has left (decision 0013), and in a full pool it keeps the room of others. */
export async function dropLeft(run: Run): Promise<void> {
  const { deps, start, incoming } = run;
  if (
    !('stored' in incoming) ||
    !run.child ||
    run.state.error?.code !== 'NO_SPACE' ||
    run.lease?.lost.aborted !== false
  )
    return;
  // where nothing was left there is nothing to drop
  await deps.zfs.abortReceive(start.dataset).catch(() => {});
}
