/**
 * A frame of the direct channel: one byte of type, eight bytes of offset (big-endian), then a body.
 *
 *   data   offset of the first byte in the stream; the body is the stream's bytes
 *   end    offset = bytes of the whole stream; no body
 *   abort  the body is the error as JSON
 *   ping   offset = bytes sent so far; no body
 *
 * All but data are words: they count only with the trailer that `authentic.ts` puts behind them.
 */
export const headerBytes = 9;
/**
 * What is published on a shared subject before any frame: a receiver reports that it arrived, since a server may let it subscribe, and bring it
 * nothing.
 */
export const probeBytes = 1;
/** The body of a word is no longer than this, in bytes. */
export const longestBody = 16 * 1024;

const types = ['data', 'end', 'abort', 'ping'] as const;
export type FrameType = (typeof types)[number];

/** Undefined for a byte that is no type. */
export const frameTypeOf = (byte: number): FrameType | undefined => types[byte];

export interface FrameHeader {
  readonly type: FrameType;
  /** In bytes of the stream. */
  readonly offset: number;
}

const high = 2 ** 32;

/** Writes a header at `at`; `into` has `headerBytes` bytes left there. */
export function writeHeader(into: Buffer, at: number, type: FrameType, offset: number): void {
  into[at] = types.indexOf(type);
  into.writeUInt32BE(Math.floor(offset / high), at + 1);
  into.writeUInt32BE(offset % high, at + 5);
}

/** Reads the header at the beginning of a frame; undefined when it is none: too short, unknown type, an offset beyond 2^53. */
export function readHeader(frame: Buffer): FrameHeader | undefined {
  if (frame.length < headerBytes) return undefined;
  const type = frameTypeOf(frame.readUInt8(0));
  const offset = frame.readUInt32BE(1) * high + frame.readUInt32BE(5);
  return type !== undefined && Number.isSafeInteger(offset) ? { type, offset } : undefined;
}

/** A whole frame that is not data, without its trailer. */
export function controlFrame(type: Exclude<FrameType, 'data'>, offset: number, body = ''): Buffer {
  const frame = Buffer.alloc(headerBytes + Buffer.byteLength(body));
  writeHeader(frame, 0, type, offset);
  frame.write(body, headerBytes);
  return frame;
}
