import type { ChannelReceiver } from '../../../lib/bus/channel/channel.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { publishEvent } from '../../../lib/bus/events/events.ts';
import type { Lease } from '../../../lib/bus/locks/lease.ts';
import type { Locks } from '../../../lib/bus/locks/locks.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { answerTo } from '../../../lib/compression/choice.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Zfs, ZfsProcess } from '../../../lib/zfs/zfs.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { leafOf } from '../../../schemas/names.ts';
import type { ReceiveReady, ReceiveStart, TransferState } from '../../../schemas/transfer.ts';
import { type Admission, checkView, namesToInspect, withMarks } from '../admission/admission.ts';
import { otherName } from '../admission/allowed-conflicts.ts';
import { checkKey } from '../admission/key-check.ts';
import { receiveProperties } from '../admission/properties.ts';
import type { LastReceivedHolds } from '../bases/last-received-holds.ts';
import { clearTarget } from '../conflicts/resolve.ts';
import { checkedInput, decodedInto } from './checked-input.ts';
import { leasedInput } from './leased-input.ts';
import { noLease } from './locks.ts';
import { receiveLog } from './log.ts';
import type { DirectDeps, Incoming } from './open-channel.ts';
import { begin, type ReceiveEvent, type ReceiveState } from './receive-state.ts';
import type { RecentlyVerified } from './recently-verified.ts';
import type { ResumablePools } from './resumable-pools.ts';
import { underLease } from './under-lock.ts';

/** Everything that a receive uses; its settings are those with which it begins. */
export interface ReceiveDeps extends DirectDeps {
  readonly instance: string;
  readonly clock: Clock;
  readonly zfs: Zfs;
  readonly bus: Bus;
  readonly locks: () => Promise<Locks>;
  readonly recentlyVerified: RecentlyVerified;
  readonly resumablePools: ResumablePools;
  readonly lastReceivedHolds: LastReceivedHolds;
  readonly allow: ReceiveConfig['allow'];
  readonly properties: ReceiveConfig['properties'];
}

/** One receive, with the locks and channels that it has acquired so far. */
export interface Run {
  /** Its `zfs` changes nothing without the lease. */
  readonly deps: ReceiveDeps;
  readonly start: ReceiveStart;
  readonly incoming: Incoming;
  readonly log: ReturnType<typeof receiveLog>;
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

/** A receive that has not started. */
export function openRun(options: ReceiveDeps, start: ReceiveStart, incoming: Incoming): Run {
  const log = receiveLog(options.log, options.host, start);
  const run: Run = {
    deps: { ...options, log: log.log, zfs: underLease(options.zfs, () => leaseOf(run)) },
    start,
    incoming,
    log,
    compression: answerTo(start.compression),
    started: new Date(options.clock.date()).toISOString(),
    began: options.clock.now(),
    state: begin,
    lease: undefined,
    admission: { parents: [] },
    channel: undefined,
    child: undefined,
  };
  return run;
}

const leaseOf = (run: Run): Pick<Lease, 'assertHeld' | 'confirmed'> => run.lease ?? noLease;
const discards = ({ admission, start }: Run): boolean => admission.token !== undefined && start.partial === 'discard';
/** The token from which the stream continues. */
export const resumable = (run: Run): string | undefined => (discards(run) ? undefined : run.admission.token);

export const statusOf = ({ deps, start, state, channel, started, began }: Run): TransferState => ({
  transfer: start.transfer,
  job: start.job,
  sourceHost: start.sourceHost,
  targetDataset: start.targetDataset,
  snapshot: start.to.name,
  state: state.phase,
  received: channel?.received ?? 0,
  consumed: channel?.consumed ?? 0,
  started,
  seconds: Math.round(deps.clock.now() - began) / 1000,
});
/** Publishes an event of its state. */
export const publish = (run: Run, what: 'started' | 'done' | 'failed'): void =>
  publishEvent(run.deps.bus, subjects.event(run.deps.host, 'recv', what), {
    ...statusOf(run),
    ...(what !== 'started' && { state: what }),
  });

/** Inspects the target, unless the last receive of this process has just verified it. */
export async function inspect(run: Run): Promise<ReceiveEvent> {
  const { deps, start } = run;
  const chained =
    !start.before &&
    start.origin === undefined &&
    deps.recentlyVerified.isNewest(start.targetDataset, start.from?.guid);
  for (const name of [start.targetDataset, otherName(start) ?? '']) deps.recentlyVerified.delete(name);
  deps.lastReceivedHolds.began(start.targetDataset);
  // a raw stream may make its dataset unreadable, and is checked each time
  if (chained && !start.raw) return { type: 'accepted', prepare: 'nothing' };
  const [seen] = await Promise.all([
    deps.zfs.inspect(namesToInspect(start)),
    deps.resumablePools.read(start.targetDataset),
  ]);
  run.admission = checkView(start, deps.host, await withMarks(deps.zfs, start, seen), deps);
  await checkKey(deps.zfs, start, deps.host, seen);
  const prepare = discards(run) ? 'discard' : run.admission.parents.length > 0 ? 'make-parents' : 'nothing';
  return { type: 'accepted', prepare: start.before ? 'clear' : prepare };
}

/** Drops partial state that no stream continues. */
export async function discard(run: Run): Promise<ReceiveEvent> {
  const { deps, start, log } = run;
  await leaseOf(run).confirmed();
  log.partialDiscarded();
  await deps.zfs.abortReceive(start.targetDataset);
  return { type: 'prepared' };
}

/** Resolves the conflict on the target by the plan. */
export async function clear(run: Run): Promise<ReceiveEvent> {
  const { deps, start } = run;
  await leaseOf(run).confirmed();
  await clearTarget(deps, start, { discard: discards(run), stopped: () => run.state.error !== undefined });
  return { type: 'prepared' };
}

/** Creates missing parents. Another receive may create the same ones at the same time. */
export async function makeParents(run: Run): Promise<ReceiveEvent> {
  const { deps, log } = run;
  for (const parent of run.admission.parents) {
    // a receive that has failed meanwhile needs no more of them
    if (run.state.error) break;
    const made = await deps.zfs.createPlaceholder(parent);
    if (made) log.parentCreated(parent);
  }
  return { type: 'prepared' };
}

/** Starts `zfs receive` before it returns. Every failure, also one before that, is a failure of the receive. */
export async function receive(run: Run, broken: (error: ErrorBody) => void): Promise<ReceiveEvent> {
  const { deps, start, log, compression } = run;
  leaseOf(run).assertHeld();
  const resuming = resumable(run) !== undefined;
  const kind = resuming ? 'resumed' : start.from ? 'incremental' : 'initial';
  log.started(kind);
  run.child = deps.zfs.receive({
    dataset: start.targetDataset,
    snapshot: leafOf(start.to.name) ?? '',
    resumable: deps.resumablePools.has(start.targetDataset),
    // partial state knows its origin already
    ...(start.origin !== undefined && !resuming && { origin: start.origin }),
    ...receiveProperties(start, run.admission.type, deps.properties),
  });
  const input = checkedInput(leasedInput(run.child.stdin, leaseOf(run)), start, deps.host, broken);
  run.channel?.attach(compression ? decodedInto(input, start, broken) : input);
  publish(run, 'started');
  for (const unset of await run.child.done) deps.log.warn('receive.property-unset', unset);
  return { type: 'exited' };
}

/** No stream continues the partial state of a stored one (decision 0013), which takes space in a full pool. */
export async function dropLeft(run: Run): Promise<void> {
  const { deps, start, incoming } = run;
  if (
    !('stored' in incoming) ||
    !run.child ||
    run.state.error?.code !== 'NO_SPACE' ||
    run.lease?.lost.aborted !== false
  )
    return;
  // it fails where there is no partial state
  await deps.zfs.abortReceive(start.targetDataset).catch(() => {});
}
