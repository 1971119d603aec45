import type { Wrapping } from './state.ts';

/** The head of a stream. */
export interface StreamHead {
  toguid: string;
  /** "0" for a full stream. */
  fromguid: string;
  toname: string;
  /** Creation of the snapshot, seconds since the epoch. */
  time: number;
  type: 'filesystem' | 'volume';
  /** The extents that the stream adds to its base, as size, seed, size, seed... */
  extents: number[];
  /** Set if the base is the origin of a clone. */
  clone: boolean;
  raw: boolean;
  encryption?: string;
  /** Of a raw stream: the wrapping of the key of the dataset's encryption root. */
  wrapping?: Wrapping;
  /** Of a raw stream: the IV set guids of its snapshot and of its base. */
  ivset?: string;
  fromIvset?: string;
  /** Properties to set, of `send -p`, and volsize. */
  props: Record<string, string>;
  /** Flags of the sending command that a resumed send repeats: compress, large blocks, embedded. */
  flags: string[];
  /** The start of a resumed stream. */
  resume?: { object: number; offset: number };
}

/** The kind of a stream in ZFS's messages; with `-o origin` any stream makes a new dataset. */
export function streamKind(head: StreamHead, withOrigin: boolean): string {
  if (head.resume !== undefined) return 'resume';
  return head.fromguid === '0' || head.clone || withOrigin ? 'new filesystem' : 'incremental';
}

export interface DataRecord {
  end: boolean;
  object: number;
  offset: number;
  length: number;
  check: number;
}

/** Bytes of every record's header: `dmu_replay_record_t` of ZFS, so that a reader of ZFS streams can read these. */
export const HEADER_BYTES = 312;
const BEGIN_MAGIC = 0x2f5bacbacn;
/** The 24th feature flag, above the two bits of the stream's type. */
const RAW_FEATURE = 1n << 26n;
/** The types of records that are used here. */
const WRITE = 3;
const END = 5;
/** The offset of ZFS's checksum, the last 32 bytes. Here it is a number and a mark. */
const CHECK_AT = 280;
const CHECK_MARK = 0x5a53494d;
/** The largest payload of one record, in bytes. */
export const LARGEST_PAYLOAD = 1 << 20;
/** The distance of position stamps in the payload, in bytes: they reveal lost or swapped pieces. */
const STAMP_EVERY = 16_384;

export function encodeBegin(head: StreamHead): Buffer {
  const payload = Buffer.from(JSON.stringify(head));
  const begin = Buffer.alloc(HEADER_BYTES);
  begin.writeUInt32LE(payload.length, 4);
  begin.writeBigUInt64LE(BEGIN_MAGIC, 8);
  begin.writeBigUInt64LE(1n | (head.raw ? RAW_FEATURE : 0n), 16);
  begin.writeBigUInt64LE(BigInt(head.time), 24);
  begin.writeUInt32LE(head.type === 'volume' ? 3 : 2, 32);
  begin.writeUInt32LE(head.clone ? 1 : 0, 36);
  begin.writeBigUInt64LE(BigInt(head.toguid), 40);
  begin.writeBigUInt64LE(BigInt(head.fromguid), 48);
  begin.write(head.toname, 56, 255, 'utf8');
  return Buffer.concat([begin, payload]);
}

/** Length of the payload after a BEGIN record, or undefined for another record. */
export const beginPayloadBytes = (begin: Buffer): number | undefined =>
  begin.readBigUInt64LE(8) === BEGIN_MAGIC ? begin.readUInt32LE(4) : undefined;

/** The running checksum over the positions of all records. */
export function nextCheck(check: number, object: number, offset: number, length: number): number {
  return Math.imul(check ^ (object * 31 + offset / 512 + length), 0x9e3779b1) >>> 0;
}

/** Fills a header, whose other bytes have to be zeros. */
export function writeRecord(into: Buffer, record: DataRecord): void {
  into.writeUInt32LE(record.end ? END : WRITE, 0);
  into.writeUInt32LE(record.length, 4);
  into.writeBigUInt64LE(BigInt(record.object), 8);
  into.writeBigUInt64LE(BigInt(record.offset), 24);
  into.writeBigUInt64LE(BigInt(record.length), 32);
  into.writeUInt32LE(record.check, CHECK_AT);
  into.writeUInt32LE(CHECK_MARK, CHECK_AT + 4);
}

/** A record's header, or undefined for other bytes. */
export function readRecord(from: Buffer, at: number): DataRecord | undefined {
  const type = from.readUInt32LE(at);
  if ((type !== WRITE && type !== END) || from.readUInt32LE(at + CHECK_AT + 4) !== CHECK_MARK) return undefined;
  return {
    end: type === END,
    length: from.readUInt32LE(at + 4),
    object: Number(from.readBigUInt64LE(at + 8)),
    offset: Number(from.readBigUInt64LE(at + 24)),
    check: from.readUInt32LE(at + CHECK_AT),
  };
}

const stampOf = (seed: number, offset: number): number => Math.imul(seed ^ (offset / STAMP_EVERY), 0x85ebca6b) >>> 0;

/** Stamps payload at `start` of a buffer and `offset` of an extent. */
export function stampPayload(buffer: Buffer, start: number, length: number, seed: number, offset: number): void {
  for (let at = 0; at < length; at += STAMP_EVERY) {
    const room = Math.min(4, length - at);
    buffer.writeUIntLE(stampOf(seed, offset + at) % 2 ** (8 * room), start + at, room);
  }
}

export function payloadIsWhole(buffer: Buffer, start: number, length: number, seed: number, offset: number): boolean {
  for (let at = 0; at + 4 <= length; at += STAMP_EVERY) {
    if (buffer.readUInt32LE(start + at) !== stampOf(seed, offset + at)) return false;
  }
  return true;
}
