import { sourceOf } from '../../../lib/bus/channel/byte-source.ts';
import type { ChannelSender } from '../../../lib/bus/channel/channel.ts';
import { broadcast } from '../../../lib/bus/channel/direct/broadcast.ts';
import type { DataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { type Encoded, encode } from '../../../lib/compression/encode.ts';
import type { StreamRequest } from '../../../lib/zfs/argv.ts';
import { type ExpectedStream, openHeadCheck } from '../../../lib/zfs/stream-head.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { CompressionMode } from '../../../schemas/transfer.ts';
import { checkedChunks, checkedSource } from './checked-source.ts';

export interface ReadDeps {
  readonly zfs: Zfs;
  readonly dataConnection: DataConnection;
}

/** The stream that is read, and its receivers. */
export interface ReadOrder {
  readonly stream: StreamRequest;
  /** The expected beginning of the stream. */
  readonly expected: ExpectedStream;
  /** The subject on which it is published. */
  readonly subject: string;
  readonly channels: readonly ChannelSender[];
  /** How it is compressed; all receivers have accepted that. */
  readonly compression: CompressionMode;
}

/** The planned snapshot no longer has that name. */
const anotherStream = (stream: ReadOrder['stream'], difference: string): ZpsendError =>
  new ZpsendError(
    'NO_SUCH_SNAPSHOT',
    `zfs send ${'token' in stream ? '-t' : stream.to} makes another stream than planned, and nothing of it was sent: ${difference}`,
  );

/** One run of `zfs send`, for one receiver or for several. */
export interface Read {
  /** Bytes of the stream so far, before compression; undefined if it is not compressed. */
  readonly bytesRead: number | undefined;
  /** The whole stream was sent, whether or not the target has confirmed it. */
  readonly isWhole: boolean;
  /** Resolves when the stream and its "end" were sent. @throws ZpsendError why there is no end */
  readonly sent: Promise<void>;
  /** Ends `zfs send` if it still runs, and resolves when it has. */
  stop(): Promise<void>;
}

/** Publishes the output of a `zfs send`: nothing until its first record is the expected one, and "end" only after it exited with 0 (I7). */
export function startRead({ zfs, dataConnection }: ReadDeps, order: ReadOrder): Read {
  const { subject, channels } = order;
  const child = zfs.send(order.stream);
  const check = openHeadCheck(order.expected);
  const encoded: Encoded | undefined =
    order.compression === 'none' ? undefined : encode(checkedChunks(child.stdout, check), order.compression);

  let isWhole = false;

  async function broadcastAll(): Promise<void> {
    await broadcast(
      dataConnection,
      { subject, subscribers: channels },
      encoded?.stream ?? checkedSource(sourceOf(child.stdout), check),
    );
    isWhole = true;
  }

  async function run(): Promise<void> {
    try {
      await Promise.all([broadcastAll(), child.done]);
      if (!check.isPassed) throw new ZpsendError('STREAM_BROKEN', 'zfs send exited 0 without a stream');
    } catch (thrown) {
      const error = check.difference === undefined ? thrown : anotherStream(order.stream, check.difference);
      for (const channel of channels) channel.abort(ZpsendError.from(error).toBody());
      child.kill('SIGTERM');
      encoded?.stream.destroy();
      throw error;
    }
    for (const channel of channels) channel.end();
  }

  const sent = run();
  // perhaps nothing awaits it any more
  sent.catch(() => {});
  return {
    get bytesRead() {
      return encoded?.taken;
    },
    get isWhole() {
      return isWhole;
    },
    sent,
    async stop() {
      child.kill('SIGTERM');
      await sent.catch(() => {});
      await child.done.catch(() => {});
    },
  };
}
