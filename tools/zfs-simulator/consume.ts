import { progressWriter, readProgress } from './receipt.ts';
import { Refusal } from './refusal.ts';
import type { Room } from './space.ts';
import {
  beginPayloadBytes,
  HEADER_BYTES,
  LARGEST_PAYLOAD,
  nextCheck,
  payloadIsWhole,
  readRecord,
  type StreamHead,
} from './stream-format.ts';
import { StreamReader } from './stream-io.ts';
import { plannedFailure, throttle } from './throttle.ts';

/** How often a receive records its progress: after a SIGKILL, it receives at most this much again. */
const MARK_MS = 50;
const MARK_BYTES = 64 << 20;

export interface Outcome {
  /** Stream bytes received in this attempt. */
  bytes: number;
  fault?: 'cut' | 'damaged' | 'no space' | 'quota' | 'planned';
  failure?: Refusal;
}

export function streamReader(): StreamReader {
  const { piece, pass } = throttle('ZFS_SIM_RECV_RATE', LARGEST_PAYLOAD * 2);
  return new StreamReader(0, (HEADER_BYTES + LARGEST_PAYLOAD) * 2, piece, pass);
}

/** Reads the head of a stream; refuses other data. */
export function readBegin(reader: StreamReader): StreamHead {
  const unreadable = new Refusal('cannot receive: failed to read from stream');
  const at = reader.take(HEADER_BYTES);
  if (at === undefined) throw unreadable;
  const length = beginPayloadBytes(reader.buffer.subarray(at, at + HEADER_BYTES));
  if (length === undefined) throw new Refusal('cannot receive: invalid stream (bad magic number)');
  const payload = reader.takeCopy(length);
  if (payload === undefined) throw unreadable;
  return JSON.parse(payload.toString()) as StreamHead;
}

/** Reads the data of a stream to its END record, checks the position of every record, and records progress under `id`. */
export function consume(reader: StreamReader, head: StreamHead, id: string, room: Room): Outcome {
  const before = head.resume === undefined ? 0 : (readProgress(id)?.bytes ?? 0);
  const failure = plannedFailure('receive');
  const failAt = failure === undefined ? Number.POSITIVE_INFINITY : dataLeft(head) / 2;
  const writer = progressWriter(id);
  let { object, offset } = head.resume ?? { object: 0, offset: 0 };
  let check = 0;
  let bytes = 0;
  let unmarked = 0;
  let marked = Date.now();
  const mark = (): void => {
    writer.mark(object, offset, before + bytes);
    unmarked = 0;
    marked = Date.now();
  };
  const end = (fault?: Outcome['fault']): Outcome => {
    mark();
    writer.close();
    return { bytes, ...(fault === undefined ? {} : { fault }), ...(failure === undefined ? {} : { failure }) };
  };
  for (;;) {
    const at = reader.take(HEADER_BYTES);
    if (at === undefined) return end('cut');
    const record = readRecord(reader.buffer, at);
    if (record === undefined) return end('damaged');
    if (record.end) return end(record.check === check && object === head.extents.length / 2 ? undefined : 'damaged');
    check = nextCheck(check, record.object, record.offset, record.length);
    const size = head.extents[object * 2] ?? 0;
    const inPlace = record.object === object && record.offset === offset && record.check === check;
    if (!inPlace || record.length > LARGEST_PAYLOAD || offset + record.length > size) return end('damaged');
    if (bytes + record.length > room.bytes) return end(room.byQuota ? 'quota' : 'no space');
    // reads the next record's header with the payload, in one system call
    const start = reader.take(record.length, HEADER_BYTES);
    if (start === undefined) return end('cut');
    const seed = head.extents[object * 2 + 1] ?? 0;
    if (!payloadIsWhole(reader.buffer, start, record.length, seed, offset)) return end('damaged');
    bytes += record.length;
    unmarked += record.length;
    offset += record.length;
    if (offset === size) {
      object += 1;
      offset = 0;
    }
    if (unmarked >= MARK_BYTES || Date.now() - marked >= MARK_MS) mark();
    if (bytes >= failAt) return end('planned');
  }
}

function dataLeft(head: StreamHead): number {
  let bytes = -(head.resume?.offset ?? 0);
  for (let at = head.resume?.object ?? 0; at < head.extents.length / 2; at++) bytes += head.extents[at * 2] ?? 0;
  return bytes;
}
