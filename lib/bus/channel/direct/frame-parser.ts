import type { PoolBuffer } from '../../data-connection/buffer-pool.ts';
import { trailerBytes } from './authentic.ts';
import { type FrameHeader, frameTypeOf, headerBytes, longestBody, readHeader } from './frame.ts';

/** A control message with its trailer is no longer than this, in bytes. */
const longestControl = headerBytes + longestBody + trailerBytes;

export interface FrameHandlers {
  /** The header of a data frame is complete; undefined when it cannot be read. `length` is its body's, in bytes. */
  header(header: FrameHeader | undefined, length: number): void;
  /** The next bytes of a data frame's body, uncopied. */
  data(bytes: Buffer, poolBuffer: PoolBuffer | undefined): void;
  /** A whole message that is no data frame, to be checked; undefined where it is none that anybody may have tagged. */
  control(tagged: Buffer | undefined): void;
}

export interface Frames {
  /** A message of `length` bytes begins. */
  begin(length: number): void;
  /** The next bytes of that message. */
  piece(bytes: Buffer, poolBuffer: PoolBuffer | undefined): void;
}

/** Puts frames together from the pieces that came off the socket; data passes through in pieces as it is. */
export function openFrames(handlers: FrameHandlers): Frames {
  const head = Buffer.alloc(headerBytes);
  let had = 0;
  let total = 0;
  let kind: 'data' | 'control' | 'none' | undefined;
  let control: Buffer = Buffer.alloc(0);

  function begin(length: number): void {
    had = 0;
    total = length;
    kind = undefined;
    if (length === 0) handlers.control(undefined);
  }

  /** What a message is, by its first byte. */
  function open(first: number): void {
    if (total >= headerBytes && frameTypeOf(first) === 'data') kind = 'data';
    else if (total <= longestControl) kind = 'control';
    else kind = 'none';
    if (kind === 'control') control = Buffer.allocUnsafe(total);
    if (kind === 'none') handlers.control(undefined);
  }

  function readHead(bytes: Buffer): number {
    const taken = bytes.copy(head, had, 0, Math.min(bytes.length, headerBytes - had));
    had += taken;
    if (had < headerBytes) return taken;
    handlers.header(readHeader(head), total - headerBytes);
    return taken;
  }

  return {
    begin,
    piece(bytes, poolBuffer) {
      if (kind === undefined) open(bytes.readUInt8(0));
      if (kind === 'data') {
        const rest = had < headerBytes ? bytes.subarray(readHead(bytes)) : bytes;
        if (rest.length > 0) handlers.data(rest, poolBuffer);
      } else if (kind === 'control') {
        had += bytes.copy(control, had);
        if (had === total) handlers.control(control);
      }
    },
  };
}
