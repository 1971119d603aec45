import { createCipheriv } from 'node:crypto';
import { complain } from './output.ts';
import { Refusal } from './refusal.ts';
import {
  encodeBegin,
  HEADER_BYTES,
  LARGEST_PAYLOAD,
  nextCheck,
  type StreamHead,
  stampPayload,
  writeRecord,
} from './stream-format.ts';
import { writeAll } from './stream-io.ts';
import { emptyShare, plannedFailure, throttle } from './throttle.ts';

/** The bytes of the stream with its records, from the resume point. */
export function streamBytes(head: StreamHead): number {
  let bytes = encodeBegin(head).length + HEADER_BYTES;
  eachExtent(head, (_object, size, _seed, offset) => {
    const records = Math.ceil(size / LARGEST_PAYLOAD) - Math.floor(offset / LARGEST_PAYLOAD);
    bytes += size - offset + records * HEADER_BYTES;
  });
  return bytes;
}

function eachExtent(head: StreamHead, see: (object: number, size: number, seed: number, offset: number) => void): void {
  const first = head.resume?.object ?? 0;
  for (let object = first; object < head.extents.length / 2; object++) {
    const offset = object === first ? (head.resume?.offset ?? 0) : 0;
    see(object, head.extents[object * 2] ?? 0, head.extents[object * 2 + 1] ?? 0, offset);
  }
}

/** Incompressible data that is always the same, so that a snapshot and its replica have equal bytes. */
function pattern(): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(LARGEST_PAYLOAD));
}

/** Writes a stream to stdout from one buffer; with `verbose`, reports its progress on stderr every second. */
export function produce(head: StreamHead, snapshot: string, verbose: boolean): void {
  const failure = plannedFailure('send');
  const failAt = failure === undefined ? Number.POSITIVE_INFINITY : streamBytes(head) / 2;
  const { piece, pass } = throttle('ZFS_SIM_SEND_RATE', LARGEST_PAYLOAD);
  const fill = pattern();
  fill.fill(0, 0, Math.round(fill.length * emptyShare()));
  const buffer = Buffer.concat([Buffer.alloc(HEADER_BYTES), fill]);
  let filledFrom = 0;
  let sent = 0;
  let reported = Date.now();
  const put = (bytes: Buffer, length: number): void => {
    writeAll(1, bytes, length);
    sent += length;
    pass(length);
    if (failure !== undefined && sent >= failAt) throw failure;
    if (verbose && Date.now() - reported >= 1000) {
      reported = Date.now();
      complain(`${new Date().toTimeString().slice(0, 8)}\t${sent}\t${snapshot}\n`);
    }
  };
  try {
    const begin = encodeBegin(head);
    put(begin, begin.length);
    let check = 0;
    eachExtent(head, (object, size, seed, start) => {
      for (let offset = start, length = 0; offset < size; offset += length) {
        const from = offset % fill.length;
        length = Math.min(piece, size - offset, fill.length - from);
        if (from !== filledFrom) fill.copy(buffer, HEADER_BYTES, from);
        filledFrom = from;
        check = nextCheck(check, object, offset, length);
        writeRecord(buffer, { end: false, object, offset, length, check });
        stampPayload(buffer, HEADER_BYTES, length, seed, offset);
        put(buffer, HEADER_BYTES + length);
      }
    });
    writeRecord(buffer, { end: true, object: 0, offset: 0, length: 0, check });
    put(buffer, HEADER_BYTES);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    throw new Refusal(`warning: cannot send '${snapshot}': signal received`);
  }
}
