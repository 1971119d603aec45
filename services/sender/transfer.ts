import type { Bus } from '../../lib/bus/connect.ts';
import type { BulkConnection } from '../../lib/bus/direct/bulk-connection.ts';
import type { Pace } from '../../lib/bus/direct/pace.ts';
import { type DirectSender, openDirectSender } from '../../lib/bus/direct/send.ts';
import { request } from '../../lib/bus/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { offerOf } from '../../lib/wire/choice.ts';
import { type Encoded, encode } from '../../lib/wire/encode.ts';
import type { TokenContents, Zfs, ZfsProcess } from '../../lib/zfs/zfs.ts';
import { type ErrorBody, ZpsendError } from '../../schemas/errors.ts';
import { datasetOf } from '../../schemas/names.ts';
import type { Step } from '../../schemas/plan.ts';
import type { PropertyWishes } from '../../schemas/properties.ts';
import { type ReceiveReady, receiveReadySchema } from '../../schemas/transfer.ts';
import { streamOf } from './stream.ts';
import type { JobWire } from './wire.ts';

export interface TransferDeps {
  readonly host: string;
  readonly zfs: Zfs;
  readonly bus: Bus;
  readonly bulk: BulkConnection;
  readonly silenceMs: number;
  /** How fast the job may send. */
  readonly pace?: Pace | undefined;
  /** How the job's streams go over the wire; as they are without. */
  readonly wire?: JobWire | undefined;
  /** What the job wants of the properties on the target. */
  readonly properties?: PropertyWishes | undefined;
}

export interface TransferPlan {
  readonly transfer: string;
  readonly job: string;
  readonly target: string;
  readonly step: Step;
  readonly discard: boolean;
}

/** One transfer of one step: asked for, then run once. */
export interface Transfer {
  /** Bytes of the stream sent, and those on the wire that the target has taken. */
  readonly sent: number;
  readonly consumed: number;
  /** The receiver has partial state that is not of this step. */
  readonly stalePartial: boolean;
  /** The partial state that this transfer continues was left at this offset, in bytes. */
  readonly resumedAt: number;
  /** Sends the stream; resolves when the target has verified the snapshot. @throws ZpsendError */
  run(): Promise<void>;
  /** Ends it from this side: nothing that was sent looks like a whole stream (I7). */
  cancel(error: ErrorBody): void;
}

interface Resume {
  token?: string;
  stale: boolean;
  offset: number;
}

const isGone = (error: unknown): error is ZpsendError =>
  error instanceof ZpsendError && ['RESUME_STALE', 'NO_SUCH_SNAPSHOT', 'NO_SUCH_DATASET'].includes(error.code);

/** Partial state that is not of this dataset is somebody else's work, and not ours to drop (I5). */
function checkOwn(step: Step, toname: unknown): void {
  if (typeof toname === 'string' && datasetOf(toname) === datasetOf(step.to.name)) return;
  throw new ZpsendError(
    'EXISTS',
    `${step.target} holds partial state of another stream (${toname ?? 'unknown'}), which is not dropped unasked: ` +
      `finish that, or zfs receive -A ${step.target}`,
    { dataset: step.target },
  );
}

/** A token carries the flags of its stream, and the rest of it comes with the same. */
const mixes = ({ flags = [] }: Step, { flags: begun }: TokenContents): boolean =>
  begun.raw === flags.includes('raw') && (begun.raw || !begun.largeBlock || flags.includes('large-block'));

/**
 * Does the receiver's partial state continue this very step? A token of other guids, of a snapshot that is gone, or of a stream
 * that does not mix with this step's (raw and plain, large blocks where the chain has none) does not.
 * @throws ZpsendError EXISTS when it is of another dataset
 */
async function resumeOf(zfs: Zfs, step: Step, token: string | undefined): Promise<Resume> {
  if (token === undefined) return { stale: false, offset: 0 };
  try {
    const contents = await zfs.token(token);
    const isOfStep = contents.toguid === step.to.guid && (contents.fromguid ?? '0') === (step.from?.guid ?? '0');
    if (isOfStep && mixes(step, contents)) return { token, stale: false, offset: contents.bytes ?? 0 };
    checkOwn(step, contents.toname);
  } catch (error) {
    if (!isGone(error)) throw error;
    checkOwn(step, error.details?.toname);
  }
  return { stale: true, offset: 0 };
}

/**
 * Asks the receiver to start, and settles what is to be sent.
 * @throws ZpsendError what the receiver refused with, or UNREACHABLE, TIMEOUT
 */
export async function askForTransfer(deps: TransferDeps, plan: TransferPlan): Promise<Transfer> {
  const { zfs, host } = deps;
  const { step, transfer, target } = plan;
  const body = {
    transfer,
    job: plan.job,
    source: host,
    dataset: step.target,
    to: step.to,
    ...(step.from && { from: { guid: step.from.guid } }),
    ...(step.origin !== undefined && { origin: step.origin }),
    ...(step.parents && { parents: step.parents }),
    ...(step.flags?.includes('raw') && { raw: true }),
    ...(step.flags?.includes('props') && { props: true }),
    ...(step.record !== undefined && { record: step.record }),
    ...(step.before && { before: step.before }),
    ...(step.volume && { volume: true }),
    ...(deps.properties && { properties: deps.properties }),
    partial: plan.discard ? 'discard' : 'resume',
  };
  const start = (more: object = {}): Promise<ReceiveReady> => {
    const ask = () => request(deps.bus, subjects.receive(target, 'start'), { ...body, ...more }, receiveReadySchema);
    return ask().catch((error) => {
      // the answer may have been lost: the same transfer asked for again gets the same answer
      if (error instanceof ZpsendError && error.code === 'TIMEOUT') return ask();
      throw error;
    });
  };
  const offer = offerOf(deps.wire?.mode ?? 'none', step.flags);
  const ready = await (offer ? offered(start, offer) : start());
  const direct = openDirectSender(deps.bulk, {
    dataSubject: subjects.data(host, target, transfer),
    creditSubject: subjects.credit(host, transfer, target),
    window: ready.window,
    silenceMs: deps.silenceMs,
    pace: deps.pace,
  });
  try {
    const resume = await resumeOf(zfs, step, ready.resumeToken);
    // what our first frame drops was looked at again, since another source may have left it there since
    const rest = plan.discard ? { stale: false, offset: 0 } : resume;
    return runnable(zfs, step, direct, rest, offer && ready.wire && deps.wire);
  } catch (error) {
    direct.abort(ZpsendError.from(error).toBody());
    direct.close();
    throw error;
  }
}

/** A receiver from before zstd takes the offer for a bad request; whatever else is bad, it says again. */
const offered = (start: (more?: object) => Promise<ReceiveReady>, wire: string[]): Promise<ReceiveReady> =>
  start({ wire }).catch((error) => {
    if (error instanceof ZpsendError && error.code === 'BAD_REQUEST') return start();
    throw error;
  });

/** @param wire how the stream is compressed, where the receiver takes that */
function runnable(zfs: Zfs, step: Step, direct: DirectSender, resume: Resume, wire: JobWire | undefined): Transfer {
  let child: ZfsProcess | undefined;
  let encoded: Encoded | undefined;
  let cancelled: ErrorBody | undefined;

  const progress = {
    get taken() {
      return encoded?.taken ?? direct.sent;
    },
    get sent() {
      return direct.sent;
    },
  };

  const cancel = (error: ErrorBody): void => {
    cancelled ??= error;
    direct.abort(error);
    child?.kill('SIGTERM');
    if (!child) direct.close();
  };

  /** The whole of `zfs send` into the channel, and "end" only after it exited 0. */
  async function pour(): Promise<void> {
    child = zfs.send(resume.token === undefined ? streamOf(step) : { token: resume.token });
    if (wire && wire.mode !== 'none') encoded = encode(child.stdout, wire.mode);
    const unfollow = wire?.follow(progress);
    try {
      await Promise.all([direct.pump(encoded?.stream ?? child.stdout), child.done]);
    } catch (error) {
      direct.abort(ZpsendError.from(error).toBody());
      child.kill('SIGTERM');
      encoded?.stream.destroy();
      throw error;
    } finally {
      unfollow?.();
    }
    if (cancelled) throw ZpsendError.fromBody(cancelled);
    direct.end();
  }

  async function run(): Promise<void> {
    if (cancelled) throw ZpsendError.fromBody(cancelled);
    const poured = pour();
    try {
      // whatever the receiver says is the last word, also while the stream is still being poured
      const final = await Promise.race([direct.final, poured.then(() => direct.final)]);
      if (final.type === 'failed') throw ZpsendError.fromBody(cancelled ?? final.error);
      if (final.guid !== step.to.guid) {
        throw new ZpsendError('STREAM_BROKEN', `the receiver verified guid ${final.guid}, not ${step.to.guid}`);
      }
    } finally {
      child?.kill('SIGTERM');
      await poured.catch(() => {});
      await child?.done.catch(() => {});
      direct.close();
    }
  }

  return {
    get sent() {
      return progress.taken;
    },
    get consumed() {
      return direct.consumed;
    },
    stalePartial: resume.stale,
    resumedAt: resume.offset,
    run,
    cancel,
  };
}
