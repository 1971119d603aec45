import { ZpsendError } from '../../../schemas/errors.ts';
import { inTime } from './in-time.ts';

/** Reads an object to its end. The library's stream neither ends nor fails when the bucket is lost under it, hence the watch. */
export async function collect(
  data: ReadableStream<Uint8Array>,
  size: number,
  what: string,
  into: Buffer | undefined,
): Promise<Buffer> {
  const bytes = into && into.length >= size ? into.subarray(0, size) : Buffer.allocUnsafeSlow(size);
  const reader = data.getReader();
  let had = 0;
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), what);
      if (done) break;
      if (had + value.length > size) throw new ZpsendError('STREAM_BROKEN', `${what}: it is larger than it says`);
      bytes.set(value, had);
      had += value.length;
    }
  } catch (thrown) {
    reader.cancel().catch(() => {});
    throw thrown;
  }
  if (had < size) throw new ZpsendError('STREAM_BROKEN', `${what}: ${size - had} bytes of it are missing`);
  return bytes;
}
