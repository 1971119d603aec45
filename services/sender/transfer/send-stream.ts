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

/** What is read, and who receives it. */
export interface ReadOrder {
  readonly stream: StreamRequest | { readonly token: string };
  /** What it has to begin with. */
  readonly expected: ExpectedStream;
  /** Where it is published. */
  readonly subject: string;
  readonly receivers: readonly ChannelSender[];
  /** How it is compressed; all receivers have to take that. */
  readonly compression: CompressionMode;
}

/** What was planned is not there any more under that name. */
const another = (stream: ReadOrder['stream'], difference: string): ZpsendError =>
  new ZpsendError(
    'NO_SUCH_SNAPSHOT',
    `zfs send ${'token' in stream ? '-t' : stream.to} makes another stream than was planned, of which nothing was sent: ${difference}`,
  );

/** One run of `zfs send`, for one receiver or for several. */
export interface Read {
  /** Bytes of the stream so far, before they were compressed; undefined where they go as they are. */
  readonly taken: number | undefined;
  /** All of the stream was sent, whatever is heard of it after that. */
  readonly isWhole: boolean;
  /** Resolves when all of it was sent and "end" said. @throws ZpsendError why there is no end */
  readonly broadcasted: Promise<void>;
  /** Ends `zfs send` if it still runs, and resolves when it has. */
  stop(): Promise<void>;
}

/** Sends the whole of a `zfs send`, nothing of it before its first record is the expected one, and "end" only after it exited 0 (I7). */
export function startRead({ zfs, dataConnection }: ReadDeps, order: ReadOrder): Read {
  const { subject, receivers } = order;
  const child = zfs.send(order.stream);
  const check = openHeadCheck(order.expected);
  const encoded: Encoded | undefined =
    order.compression === 'none' ? undefined : encode(checkedChunks(child.stdout, check), order.compression);

  let isWhole = false;

  async function broadcastAll(): Promise<void> {
    await broadcast(
      dataConnection,
      { subject, subscribers: receivers },
      encoded?.stream ?? checkedSource(sourceOf(child.stdout), check),
    );
    isWhole = true;
  }

  async function run(): Promise<void> {
    try {
      await Promise.all([broadcastAll(), child.done]);
      if (!check.isPassed) throw new ZpsendError('STREAM_BROKEN', 'zfs send ended well, and made no stream');
    } catch (thrown) {
      const error = check.difference === undefined ? thrown : another(order.stream, check.difference);
      for (const receiver of receivers) receiver.abort(ZpsendError.from(error).toBody());
      child.kill('SIGTERM');
      encoded?.stream.destroy();
      throw error;
    }
    for (const receiver of receivers) receiver.end();
  }

  const broadcasted = run();
  // whoever waits for it may have left
  broadcasted.catch(() => {});
  return {
    get taken() {
      return encoded?.taken;
    },
    get isWhole() {
      return isWhole;
    },
    broadcasted,
    async stop() {
      child.kill('SIGTERM');
      await broadcasted.catch(() => {});
      await child.done.catch(() => {});
    },
  };
}
