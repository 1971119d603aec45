/**
 * A frame of the direct channel: one byte of type, eight bytes of offset (big-endian), then a body.
 *
 *   data   offset of the first byte in the stream; the body is the stream's bytes
 *   end    offset = bytes of the whole stream; no body
 *   abort  the body is the error as JSON
 *   ping   offset = bytes sent so far; no body
 *
 * All types but data are control messages: valid only with the authenticator that `authentic.ts` appends.
 */
export const headerBytes = 9;
/** A probe, published before any frame. A receiver reports it, since a server may accept a subscription and deliver nothing. In bytes. */
export const probeBytes = 1;
/** The longest body of a control message, in bytes. */
export const longestBody = 16 * 1024;

const types = ['data', 'end', 'abort', 'ping'] as const;
export type FrameType = (typeof types)[number];

/** The type of a byte; undefined if no type has it. */
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

/** Reads the header of a frame; undefined if it is too short, of an unknown type, or has an offset beyond 2^53. */
export function readHeader(frame: Buffer): FrameHeader | undefined {
  if (frame.length < headerBytes) return undefined;
  const type = frameTypeOf(frame.readUInt8(0));
  const offset = frame.readUInt32BE(1) * high + frame.readUInt32BE(5);
  return type !== undefined && Number.isSafeInteger(offset) ? { type, offset } : undefined;
}

/** A whole control message, without its authenticator. */
export function controlFrame(type: Exclude<FrameType, 'data'>, offset: number, body = ''): Buffer {
  const frame = Buffer.alloc(headerBytes + Buffer.byteLength(body));
  writeHeader(frame, 0, type, offset);
  frame.write(body, headerBytes);
  return frame;
}
