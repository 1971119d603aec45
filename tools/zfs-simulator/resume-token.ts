import { deflateSync, inflateSync } from 'node:zlib';
import { hexGuid } from './guid.ts';
import type { Progress } from './receipt.ts';
import { Refusal } from './refusal.ts';

/** The contents of a resume token. */
export interface ResumePoint {
  object: number;
  offset: number;
  bytes: number;
  toguid: string;
  fromguid: string;
  toname: string;
  raw: boolean;
  flags: string[];
}

/** Types of values in an nvlist: flag, 64-bit number, string (sys/nvpair.h). */
const FLAG = 1;
const UINT64 = 8;
const STRING = 9;
/** Size of the pair, length of its name, number of values, type; the name and the value follow, each at a multiple of 8. */
const PAIR_HEAD = 16;
const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** The token of a partial receive, as ZFS writes it: `1-CHECKSUM-LENGTH-HEX`, over a packed and compressed list of names and values. */
export function encodeToken({ object, offset, bytes, toguid, fromguid, toname, raw, flags }: Progress): string {
  const pairs: Buffer[] = [
    ...(fromguid === '0' ? [] : [uint64('fromguid', BigInt(fromguid))]),
    uint64('object', BigInt(object)),
    uint64('offset', BigInt(offset)),
    uint64('bytes', BigInt(bytes)),
    uint64('toguid', BigInt(toguid)),
    pair('toname', STRING, 1, Buffer.from(`${toname}\0`)),
    ...[...flags, ...(raw ? ['rawok'] : [])].map((name) => pair(name, FLAG, 0, Buffer.alloc(0))),
  ];
  // native, little-endian, version 0, of unique names
  const head = Buffer.from([0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
  const packed = Buffer.concat([head, ...pairs, Buffer.alloc(4)]);
  const body = deflateSync(packed);
  return `1-${checksum(body)}-${packed.length.toString(16)}-${body.toString('hex')}`;
}

function uint64(name: string, value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return pair(name, UINT64, 1, bytes);
}

function pair(name: string, type: number, count: number, value: Buffer): Buffer {
  const at = padded(PAIR_HEAD + name.length + 1);
  const bytes = Buffer.alloc(at + padded(value.length));
  bytes.writeInt32LE(bytes.length, 0);
  bytes.writeInt16LE(name.length + 1, 4);
  bytes.writeInt32LE(count, 8);
  bytes.writeInt32LE(type, 12);
  bytes.write(name, PAIR_HEAD);
  value.copy(bytes, at);
  return bytes;
}

/** Trusts the contents, as libzfs does; knows only the fields that ZFS writes. */
export function decodeToken(token: string): ResumePoint {
  const [version, sum, length, body] = token.split('-');
  if (version !== '1' || sum === undefined || length === undefined || body === undefined)
    throw corrupt('invalid format');
  const compressed = Buffer.from(body, 'hex');
  if (checksum(compressed) !== sum) throw corrupt('incorrect checksum');
  const packed = inflateSync(compressed);
  const values = new Map<string, bigint | string | true>();
  for (let at = 12, size = packed.readInt32LE(at); size > 0; at += size, size = packed.readInt32LE(at)) {
    const nameEnd = at + PAIR_HEAD + packed.readInt16LE(at + 4) - 1;
    const from = at + padded(nameEnd + 1 - at);
    const type = packed.readInt32LE(at + 12);
    const text = (): string => packed.toString('utf8', from, packed.indexOf(0, from));
    const value = type === UINT64 ? packed.readBigUInt64LE(from) : type === STRING ? text() : true;
    values.set(packed.toString('utf8', at + PAIR_HEAD, nameEnd), value);
  }
  const number = (name: string): bigint => BigInt(values.get(name) ?? 0n);
  return {
    object: Number(number('object')),
    offset: Number(number('offset')),
    bytes: Number(number('bytes')),
    toguid: String(number('toguid')),
    fromguid: String(number('fromguid')),
    toname: String(values.get('toname') ?? ''),
    raw: values.has('rawok'),
    flags: [...values.keys()].filter((name) => name.endsWith('ok') && name !== 'rawok'),
  };
}

const corrupt = (why: string): Refusal => new Refusal(`cannot resume send: resume token is corrupt (${why})`, 255);

/** The first of fletcher4's sums: of the 32-bit words. */
function checksum(bytes: Buffer): string {
  let sum = 0n;
  for (let at = 0; at + 4 <= bytes.length; at += 4) sum += BigInt(bytes.readUInt32LE(at));
  return sum.toString(16);
}

/** The output of `zfs send -nvt` before the size. */
export function describeToken(point: ResumePoint): string {
  const rows = [
    ...(point.fromguid === '0' ? [] : [`fromguid = 0x${hexGuid(point.fromguid)}`]),
    `object = 0x${point.object.toString(16)}`,
    `offset = 0x${point.offset.toString(16)}`,
    `bytes = 0x${point.bytes.toString(16)}`,
    `toguid = 0x${hexGuid(point.toguid)}`,
    `toname = ${point.toname}`,
    ...point.flags.map((flag) => `${flag} = 1`),
    ...(point.raw ? ['rawok = 1'] : []),
  ];
  return `resume token contents:\nnvlist version: 0\n${rows.map((row) => `\t${row}\n`).join('')}`;
}
