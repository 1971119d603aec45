import { deflateSync, inflateSync } from 'node:zlib';
import { hexGuid } from './guid.ts';
import type { Progress } from './receipt.ts';
import { Refusal } from './refusal.ts';

/** What a resume token carries. */
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

/** The token of a partial receive: `1-CHECKSUM-LENGTH-HEX` as ZFS writes it, over JSON instead of an nvlist. */
export function encodeToken(progress: Progress): string {
  const { object, offset, bytes, toguid, fromguid, toname, raw, flags } = progress;
  const point: ResumePoint = { object, offset, bytes, toguid, fromguid, toname, raw, flags };
  const packed = Buffer.from(JSON.stringify(point));
  const body = deflateSync(packed).toString('hex');
  return `1-${checksum(body)}-${packed.length.toString(16)}-${body}`;
}

export function decodeToken(token: string): ResumePoint {
  const [version, sum, length, body] = token.split('-');
  if (version !== '1' || sum === undefined || length === undefined || body === undefined)
    throw corrupt('invalid format');
  if (checksum(body) !== sum) throw corrupt('incorrect checksum');
  return JSON.parse(inflateSync(Buffer.from(body, 'hex')).toString()) as ResumePoint;
}

const corrupt = (why: string): Refusal => new Refusal(`cannot resume send: resume token is corrupt (${why})`, 255);

function checksum(body: string): string {
  let sum = 0x811c9dc5;
  for (let at = 0; at < body.length; at++) sum = Math.imul(sum ^ body.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(16);
}

/** What `zfs send -nvt` prints before the size. */
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
