import type { Bus } from '../../lib/bus/connect.ts';
import type { BulkConnection } from '../../lib/bus/direct/bulk-connection.ts';
import type { Pace } from '../../lib/bus/direct/pace.ts';
import { abortUnheard, type DirectSender, openDirectSender } from '../../lib/bus/direct/send.ts';
import { request } from '../../lib/bus/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { offerOf } from '../../lib/wire/choice.ts';
import type { TokenContents, Zfs } from '../../lib/zfs/zfs.ts';
import { type ErrorBody, ZpsendError } from '../../schemas/errors.ts';
import { datasetOf } from '../../schemas/names.ts';
import type { Step } from '../../schemas/plan.ts';
import type { PropertyWishes } from '../../schemas/properties.ts';
import { type ReceiveReady, receiveReadySchema, type WireMode } from '../../schemas/transfer.ts';
import type { Seat } from './fan/meeting.ts';
import { type Read, startRead } from './read.ts';
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
  /** Its place in a read that others share; a transfer that continues partial state goes alone. */
  readonly seat?: Seat | undefined;
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
  // what drops partial state looks at it first, and for that nobody waits
  if (plan.discard) plan.seat?.decline();
  const seat = plan.discard ? undefined : plan.seat;
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
  try {
    const offer = offerOf(deps.wire?.mode ?? 'none', step.flags);
    const extras = { ...(offer && { wire: offer }), ...(seat && { shared: seat.id }) };
    const ready = await (Object.keys(extras).length > 0 ? offered(start, extras) : start());
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
      const shared = ready.shared === true ? seat : undefined;
      if (!shared) seat?.decline();
      return runnable(deps, plan, {
        direct,
        resume: rest,
        seat: shared,
        mode: (offer && ready.wire && deps.wire?.mode) ?? 'none',
      });
    } catch (error) {
      direct.abort(ZpsendError.from(error).toBody());
      direct.close();
      throw error;
    }
  } catch (error) {
    // before the others begin: it may listen, and its answer be lost
    if (seat) abortUnheard(deps.bulk, subjects.data(host, target, transfer), ZpsendError.from(error).toBody());
    seat?.decline();
    throw error;
  }
}

/** A receiver that does not know what is offered takes it for a bad request; whatever else is bad, it says again. */
const offered = (start: (more?: object) => Promise<ReceiveReady>, extras: object): Promise<ReceiveReady> =>
  start(extras).catch((error) => {
    if (error instanceof ZpsendError && error.code === 'BAD_REQUEST') return start();
    throw error;
  });

/** What was settled with the receiver. */
interface Settled {
  readonly direct: DirectSender;
  readonly resume: Resume;
  readonly seat: Seat | undefined;
  /** How the stream is compressed. */
  readonly mode: WireMode;
}

const tooLate = new ZpsendError('STREAM_BROKEN', 'it was ready only when those that read along had begun');

function runnable(deps: TransferDeps, { step, target, transfer }: TransferPlan, settled: Settled): Transfer {
  const { direct, resume, seat, mode } = settled;
  let read: Read | undefined;
  let running = false;
  let cancelled: ErrorBody | undefined;

  const progress = {
    get taken() {
      return read?.taken ?? direct.sent;
    },
    get sent() {
      return direct.sent;
    },
  };

  const alone = (): Read =>
    startRead(deps, {
      stream: resume.token === undefined ? streamOf(step) : { token: resume.token },
      subject: subjects.data(deps.host, target, transfer),
      receivers: [direct],
      wire: mode,
    });

  /** Whoever fails while the others are waited for waits no longer. */
  async function shared(seat: Seat): Promise<Read> {
    const joining = seat.join({ receiver: direct, wire: mode });
    const came = await Promise.race([joining, direct.final]);
    if (came && 'poured' in came) return came;
    void joining.then((late) => late && seat.leave());
    const error = came?.type === 'failed' ? ZpsendError.fromBody(came.error) : tooLate;
    direct.abort(error.toBody());
    throw error;
  }

  async function run(): Promise<void> {
    running = true;
    let unfollow: (() => void) | undefined;
    try {
      if (cancelled) throw ZpsendError.fromBody(cancelled);
      read = seat ? await shared(seat) : alone();
      if (read.taken !== undefined) unfollow = deps.wire?.follow(progress);
      // whatever the receiver says is the last word, also while the stream is still being poured
      const final = await Promise.race([direct.final, read.poured.then(() => direct.final)]);
      if (final.type === 'failed') throw ZpsendError.fromBody(cancelled ?? final.error);
      if (final.guid !== step.to.guid) {
        throw new ZpsendError('STREAM_BROKEN', `the receiver verified guid ${final.guid}, not ${step.to.guid}`);
      }
    } finally {
      unfollow?.();
      await (seat ? read && seat.leave() : read?.stop());
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
    cancel(error) {
      cancelled ??= error;
      direct.abort(error);
      if (running) return;
      seat?.decline();
      direct.close();
    },
  };
}
