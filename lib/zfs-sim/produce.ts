import { randomFillSync } from 'node:crypto';
import { complain } from './output.ts';
import { Refusal } from './refusal.ts';
import {
  encodeBegin,
  LARGEST_PAYLOAD,
  nextCheck,
  RECORD_BYTES,
  type StreamHead,
  stampPayload,
  writeRecord,
} from './stream-format.ts';
import { writeAll } from './stream-io.ts';
import { emptyShare, plannedFailure, throttle } from './throttle.ts';

/** Bytes the stream will have, its records included, from where it resumes. */
export function streamBytes(head: StreamHead): number {
  let bytes = encodeBegin(head).length + RECORD_BYTES;
  eachExtent(head, (_object, size, _seed, offset) => {
    bytes += size - offset + Math.ceil((size - offset) / LARGEST_PAYLOAD) * RECORD_BYTES;
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

/** Writes a stream to stdout from one buffer; with `verbose`, says each second on stderr how far it is. */
export function produce(head: StreamHead, snapshot: string, verbose: boolean): void {
  const failure = plannedFailure('send');
  const failAt = failure === undefined ? Number.POSITIVE_INFINITY : streamBytes(head) / 2;
  const { piece, pass } = throttle('ZFS_SIM_SEND_RATE', LARGEST_PAYLOAD);
  const buffer = Buffer.allocUnsafe(RECORD_BYTES + piece);
  randomFillSync(buffer);
  buffer.fill(0, 0, Math.round(buffer.length * emptyShare()));
  let sent = 0;
  let said = Date.now();
  const put = (bytes: Buffer, length: number): void => {
    writeAll(1, bytes, length);
    sent += length;
    pass(length);
    if (failure !== undefined && sent >= failAt) throw failure;
    if (verbose && Date.now() - said >= 1000) {
      said = Date.now();
      complain(`${new Date().toTimeString().slice(0, 8)}\t${sent}\t${snapshot}\n`);
    }
  };
  try {
    const begin = encodeBegin(head);
    put(begin, begin.length);
    let check = 0;
    eachExtent(head, (object, size, seed, start) => {
      for (let offset = start; offset < size; offset += piece) {
        const length = Math.min(piece, size - offset);
        check = nextCheck(check, object, offset, length);
        writeRecord(buffer, { end: false, object, offset, length, check });
        stampPayload(buffer, RECORD_BYTES, length, seed, offset);
        put(buffer, RECORD_BYTES + length);
      }
    });
    writeRecord(buffer, { end: true, object: 0, offset: 0, length: 0, check });
    put(buffer, RECORD_BYTES);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    throw new Refusal(`warning: cannot send '${snapshot}': signal received`);
  }
}
