import type { ByteSource } from '../../lib/bus/direct/source.ts';
import type { HeadCheck } from '../../lib/zfs/stream-head.ts';

/** The first read brings the stream's first record whole, or nearly so. */
const firstBytes = 64 * 1024;

const reason = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** The output of a `zfs send` of which nothing goes on before its beginning has passed. One that ends before tells by its exit why. */
export function checkedSource(source: ByteSource, check: HeadCheck): ByteSource {
  const own = Buffer.allocUnsafe(firstBytes);
  /** Has passed, and its reader had no room for it yet. */
  let rest: Buffer = Buffer.alloc(0);
  let advance = (): boolean => true;
  return {
    readInto(reader) {
      let isOwn = false;
      advance = () => {
        while (rest.length > 0) {
          const length = rest.copy(reader.room());
          rest = rest.subarray(length);
          if (!reader.filled(length)) return false;
        }
        return true;
      };
      source.readInto({
        room() {
          isOwn = !check.isPassed;
          return isOwn ? own : reader.room();
        },
        filled(length) {
          if (!isOwn) return reader.filled(length);
          try {
            rest = check.take(own.subarray(0, length)) ?? rest;
          } catch (thrown) {
            reader.failed(reason(thrown));
            return false;
          }
          return advance();
        },
        ended: () => reader.ended(),
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
