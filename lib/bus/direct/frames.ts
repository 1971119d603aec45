import type { Slab } from '../bulk/slab.ts';
import { type FrameHeader, headerBytes, readHeader } from './frame.ts';

/** A reason for an abort is no longer than this, in bytes. */
const longestAbort = 16 * 1024;

export interface FrameHandlers {
  /** A header is complete; undefined when it cannot be read. `length` is its body's, in bytes. */
  header(header: FrameHeader | undefined, length: number): void;
  /** The next bytes of a data frame's body, uncopied. */
  data(bytes: Buffer, slab: Slab | undefined): void;
  /** The whole body of an abort. */
  abort(text: string): void;
}

export interface Frames {
  /** A message of `length` bytes begins. */
  begin(length: number): void;
  /** The next bytes of that message. */
  piece(bytes: Buffer, slab: Slab | undefined): void;
}

/** Puts frames together from the pieces that came off the socket; data passes through in pieces as it is. */
export function openFrames(handlers: FrameHandlers): Frames {
  const head = Buffer.alloc(headerBytes);
  let had = 0;
  let body = 0;
  let type: FrameHeader['type'] | undefined;
  let text = '';

  function begin(length: number): void {
    had = 0;
    body = length - headerBytes;
    type = undefined;
    text = '';
    if (body < 0) handlers.header(undefined, 0);
  }

  function readHead(bytes: Buffer): number {
    const taken = bytes.copy(head, had, 0, Math.min(bytes.length, headerBytes - had));
    had += taken;
    if (had < headerBytes) return taken;
    const header = readHeader(head);
    const readable = header?.type === 'abort' && body > longestAbort ? undefined : header;
    type = readable?.type;
    handlers.header(readable, body);
    if (type === 'abort' && body === 0) handlers.abort('');
    return taken;
  }

  return {
    begin,
    piece(bytes, slab) {
      if (body < 0) return;
      const rest = had < headerBytes ? bytes.subarray(readHead(bytes)) : bytes;
      if (rest.length === 0) return;
      if (type === 'data') handlers.data(rest, slab);
      if (type !== 'abort') return;
      text += rest.toString('latin1');
      if (text.length === body) handlers.abort(Buffer.from(text, 'latin1').toString());
    },
  };
}
