import type { ByteSource } from '../../../lib/bus/channel/byte-source.ts';
import type { HeadCheck } from '../../../lib/zfs/stream-head.ts';

const firstBytes = 64 * 1024;

const reason = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** The output of a `zfs send`, held back until its beginning has passed the check. If it ends before, its exit status has the reason. */
export function checkedSource(source: ByteSource, check: HeadCheck): ByteSource {
  const own = Buffer.allocUnsafe(firstBytes);
  /** Has passed, and did not fit into the reader's memory yet. While there is some, further bytes are appended to it. */
  let rest: Buffer = Buffer.alloc(0);
  let hasEnded = false;
  let advance = (): boolean => true;
  return {
    readInto(reader) {
      /** Is the next read into our own memory, and not the reader's? */
      let isOwn = false;
      advance = () => {
        while (rest.length > 0) {
          const length = rest.copy(reader.room());
          rest = rest.subarray(length);
          if (!reader.filled(length)) return false;
        }
        if (hasEnded) reader.ended();
        return !hasEnded;
      };
      source.readInto({
        room() {
          isOwn = !check.isPassed || rest.length > 0;
          return isOwn ? own : reader.room();
        },
        filled(length) {
          if (!isOwn) return reader.filled(length);
          const bytes = own.subarray(0, length);
          try {
            rest = check.isPassed ? Buffer.concat([rest, bytes]) : (check.take(bytes) ?? rest);
          } catch (thrown) {
            reader.failed(reason(thrown));
            return false;
          }
          return advance();
        },
        ended() {
          hasEnded = true;
          if (rest.length === 0) reader.ended();
        },
        failed: (why) => reader.failed(why),
      });
    },
    proceed() {
      if (advance()) source.proceed();
    },
  };
}

/** The same, piece by piece. @throws Error where the beginning does not pass */
export async function* checkedChunks(chunks: AsyncIterable<Buffer>, check: HeadCheck): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    const passed = check.isPassed ? chunk : check.take(chunk);
    if (passed) yield passed;
  }
}
