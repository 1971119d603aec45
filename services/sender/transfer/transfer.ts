import type { ChannelSender } from '../../../lib/bus/channel/channel.ts';
import type { RateLimit } from '../../../lib/bus/channel/rate-limit.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { DataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { PropertyWishes } from '../../../schemas/properties.ts';
import type { CompressionMode } from '../../../schemas/transfer.ts';
import type { Log } from '../../host/log.ts';
import type { JobCompression } from './compression.ts';
import type { Participant } from './fan-out/session.ts';
import { checkKeyUnchanged } from './key-unchanged.ts';
import { type Read, startRead } from './send-stream.ts';
import { expectedOf, streamOf } from './stream-request.ts';

export interface TransferDeps {
  readonly host: string;
  readonly zfs: Zfs;
  readonly bus: Bus;
  readonly dataConnection: DataConnection;
  readonly log: Log;
  readonly silenceMs: number;
  /** How long failures in a row are borne, and a target that takes nothing, in milliseconds. */
  readonly patienceMs: number;
  /** How fast the job may send. */
  readonly rateLimit?: RateLimit | undefined;
  /** How the job's streams go over the wire; as they are without. */
  readonly compression?: JobCompression | undefined;
  /** What the job wants of the properties on the target. */
  readonly properties?: PropertyWishes | undefined;
}

export interface TransferPlan {
  readonly transfer: string;
  readonly job: string;
  readonly targetHost: string;
  readonly step: Step;
  readonly discard: boolean;
  /** Its place in a read that others share; a transfer that continues partial state goes alone. */
  readonly participant?: Participant | undefined;
}

/** One transfer of one step: asked for, then run once. */
export interface Transfer {
  /** Bytes of the stream sent, and those on the wire that the target has taken. */
  readonly sent: number;
  readonly consumed: number;
  /** What it waits for meanwhile, if that is not the receiver. */
  readonly waiting: ErrorBody | undefined;
  /** All of the stream was sent: the target may have the snapshot, whatever is heard of it. */
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

/** The partial state that a transfer continues, if any. */
export interface Resume {
  token?: string;
  /** There is some, and it is not of this step. */
  stale: boolean;
  offset: number;
}

/** What was settled with the receiver. */
export interface Settled {
  /** This end of the channel to it. */
  readonly channel: ChannelSender;
  readonly resume: Resume;
  readonly participant: Participant | undefined;
  /** How the stream is compressed. */
  readonly mode: CompressionMode;
}

const tooLate = new ZpsendError('STREAM_BROKEN', 'it was ready only when those that read along had begun');

/** A transfer that is settled, to be run once. */
export function runnable(
  deps: TransferDeps,
  { step, targetHost, transfer }: TransferPlan,
  { channel, resume, participant, mode }: Settled,
): Transfer {
  let read: Read | undefined;
  let running = false;
  let cancelled: ErrorBody | undefined;

  const progress = {
    get taken() {
      return read?.taken ?? channel.sent;
    },
    get sent() {
      return channel.sent;
    },
  };

  const alone = (): Read =>
    startRead(deps, {
      stream: resume.token === undefined ? streamOf(step) : { token: resume.token },
      // which flags a stream was begun with its token tells, and those that matter were compared with the plan
      expected: resume.token === undefined ? expectedOf(step) : { ...expectedOf(step), flags: undefined },
      subject: subjects.data(deps.host, targetHost, transfer),
      receivers: [channel],
      compression: mode,
    });

  /** Whoever fails while the others are waited for waits no longer. */
  async function shared(participant: Participant): Promise<Read> {
    const joining = participant.join({ receiver: channel, compression: mode });
    const came = await Promise.race([joining, channel.final]);
    if (came && 'broadcasted' in came) return came;
    void joining.then((late) => late && participant.leave());
    const error = came?.type === 'failed' ? ZpsendError.fromBody(came.error) : tooLate;
    channel.abort(error.toBody());
    throw error;
  }

  /** For what does not begin nobody waits. */
  async function begin(): Promise<Read> {
    try {
      await checkKeyUnchanged(deps.zfs, step);
      if (cancelled) throw ZpsendError.fromBody(cancelled);
    } catch (thrown) {
      participant?.decline();
      channel.abort(ZpsendError.from(thrown).toBody());
      throw thrown;
    }
    return participant ? shared(participant) : alone();
  }

  async function run(): Promise<void> {
    running = true;
    let unfollow: (() => void) | undefined;
    try {
      read = await begin();
      if (read.taken !== undefined) unfollow = deps.compression?.follow(progress);
      // whatever the receiver says is the last word, also while the stream is still being broadcast
      const final = await Promise.race([channel.final, read.broadcasted.then(() => channel.final)]);
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
      return progress.taken;
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
