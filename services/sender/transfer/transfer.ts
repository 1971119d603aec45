import type { ChannelSender } from '../../../lib/bus/channel/channel.ts';
import type { RateLimit } from '../../../lib/bus/channel/rate-limit.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { DataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { PropertyWishes } from '../../../schemas/properties.ts';
import type { CompressionMode } from '../../../schemas/transfer.ts';
import type { Log } from '../../host/log.ts';
import type { JobCompression } from './compression.ts';
import type { Participant } from './fan-out/session.ts';
import { checkKeyUnchanged } from './key-unchanged.ts';
import { type Read, startRead } from './read-stream.ts';
import type { Resume } from './resume.ts';
import { expectedOf, streamOf } from './stream-request.ts';

export interface TransferDeps {
  readonly host: string;
  readonly zfs: Zfs;
  readonly bus: Bus;
  readonly dataConnection: DataConnection;
  readonly log: Log;
  readonly clock: Clock;
  readonly silenceMs: number;
  /** How long a job bears consecutive failures, and a target that accepts no data, in ms. */
  readonly patienceMs: number;
  /** The job's limit in bytes per second. */
  readonly rateLimit?: RateLimit | undefined;
  /** How the job's streams are compressed; absent, not at all. */
  readonly compression?: JobCompression | undefined;
  /** The job's wishes for properties on the target. */
  readonly properties?: PropertyWishes | undefined;
}

export interface TransferPlan {
  readonly transfer: string;
  readonly job: string;
  readonly targetHost: string;
  readonly step: Step;
  readonly discard: boolean;
  /** Its part in a shared read; a transfer that continues partial state reads alone. */
  readonly participant?: Participant | undefined;
}

/** One transfer of one step: asked for, then run once. */
export interface Transfer {
  /** Bytes of the stream sent, and compressed bytes that the target has consumed. */
  readonly sent: number;
  readonly consumed: number;
  /** The error that it waits for, if it waits for something other than the receiver. */
  readonly waiting: ErrorBody | undefined;
  /** The whole stream was sent: the target may have the snapshot, though it has not confirmed it. */
  readonly isWhole: boolean;
  /** The receiver has partial state that is not of this step. */
  readonly stalePartial: boolean;
  /** The partial state that this transfer continues was left at this offset, in bytes. */
  readonly resumedAt: number;
  /** Sends the stream; resolves when the target has verified the snapshot. @throws ZpsendError */
  run(): Promise<void>;
  /** Ends it from this side: nothing that was sent looks like a whole stream (I7). */
  cancel(error: ErrorBody): void;
}

/** The agreement with the receiver. */
export interface Settled {
  /** This end of the channel to it. */
  readonly channel: ChannelSender;
  readonly resume: Resume;
  readonly participant: Participant | undefined;
  /** How the stream is compressed. */
  readonly mode: CompressionMode;
}

const tooLate = new ZpsendError('STREAM_BROKEN', 'its receiver was ready only after the start of the shared read');

/** A transfer that is settled, to be run once. */
export function runnable(deps: TransferDeps, plan: TransferPlan, settled: Settled): Transfer {
  const { step } = plan;
  const { channel, resume, participant } = settled;
  let read: Read | undefined;
  let running = false;
  let cancelled: ErrorBody | undefined;

  /** If it cannot begin, the others do not wait for it. */
  async function begin(): Promise<Read> {
    try {
      await checkKeyUnchanged(deps.zfs, step);
      if (cancelled) throw ZpsendError.fromBody(cancelled);
    } catch (thrown) {
      participant?.decline();
      channel.abort(ZpsendError.from(thrown).toBody());
      throw thrown;
    }
    return participant ? readShared(participant, settled) : readAlone(deps, plan, settled);
  }

  async function run(): Promise<void> {
    running = true;
    let unfollow: (() => void) | undefined;
    try {
      read = await begin();
      unfollow = follow(deps.compression, read, channel);
      // the receiver's final message counts, also while the stream is still being broadcast
      const final = await Promise.race([channel.final, read.sent.then(() => channel.final)]);
      if (final.type === 'failed') throw ZpsendError.fromBody(cancelled ?? final.error);
      if (final.guid !== step.to.guid) {
        throw new ZpsendError('STREAM_BROKEN', `the receiver verified guid ${final.guid}, not ${step.to.guid}`);
      }
    } finally {
      unfollow?.();
      await (participant ? read && participant.leave() : read?.stop());
      channel.close();
    }
  }

  return {
    get sent() {
      return read?.bytesRead ?? channel.sent;
    },
    get consumed() {
      return channel.consumed;
    },
    get waiting() {
      return channel.waiting;
    },
    get isWhole() {
      return read?.isWhole ?? false;
    },
    stalePartial: resume.stale,
    resumedAt: resume.offset,
    run,
    cancel(error) {
      cancelled ??= error;
      channel.abort(error);
      if (running) return;
      participant?.decline();
      channel.close();
    },
  };
}

function readAlone(
  deps: TransferDeps,
  { step, targetHost, transfer }: TransferPlan,
  { channel, resume: { token }, mode }: Settled,
): Read {
  return startRead(deps, {
    stream: token === undefined ? streamOf(step) : { token },
    // the token has the stream's flags, and the relevant ones were compared with the plan
    expected: token === undefined ? expectedOf(step) : { ...expectedOf(step), flags: undefined },
    subject: subjects.data(deps.host, targetHost, transfer),
    channels: [channel],
    compression: mode,
  });
}

/** A receiver that fails while it waits for the others stops waiting. */
async function readShared(participant: Participant, { channel, mode }: Settled): Promise<Read> {
  const joining = participant.join({ receiver: channel, compression: mode });
  const result = await Promise.race([joining, channel.final]);
  if (result && 'sent' in result) return result;
  void joining.then((late) => late && participant.leave());
  const error = result?.type === 'failed' ? ZpsendError.fromBody(result.error) : tooLate;
  channel.abort(error.toBody());
  throw error;
}

/** Counts a compressed read for the savings of the job. @returns ends that */
function follow(compression: JobCompression | undefined, read: Read, channel: ChannelSender): (() => void) | undefined {
  if (read.bytesRead === undefined) return undefined;
  return compression?.follow({
    get taken() {
      return read.bytesRead ?? channel.sent;
    },
    get sent() {
      return channel.sent;
    },
  });
}
