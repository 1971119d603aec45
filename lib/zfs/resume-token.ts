import { deflateSync, inflateSync } from 'node:zlib';
import { ZpsendError } from '../../schemas/errors.ts';
import { snapshotSchema, tokenSchema } from '../../schemas/names.ts';
import { type NvValue, packNvlist, unpackNvlist } from './nvlist.ts';

/** What an interrupted receive says of itself, and what `zfs send -t` goes on from (dsl_dataset.c, get_receive_resume_token). */
export interface TokenContents {
  /** The source's snapshot. */
  readonly toname: string;
  readonly toguid: string;
  /** Absent of a full stream. */
  readonly fromguid?: string;
  readonly object: bigint;
  readonly offset: bigint;
  /** Bytes of the stream that the target has taken. */
  readonly bytes: bigint;
  readonly flags: TokenFlags;
}

/** What its stream was begun with. */
interface TokenFlags {
  readonly raw: boolean;
  readonly largeBlock: boolean;
  readonly embed: boolean;
  readonly compressed: boolean;
}

const flagNames = {
  largeBlock: 'largeblockok',
  embed: 'embedok',
  compressed: 'compressok',
  raw: 'rawok',
} as const satisfies Record<keyof TokenFlags, string>;

const numberNames = ['fromguid', 'object', 'offset', 'bytes', 'toguid'] as const;
const known = new Set<string>([...numberNames, 'toname', ...Object.values(flagNames)]);

/** A token is some hundred bytes; what unpacks to more is none. */
const mostBytes = 16 * 1024;

const stale = (why: string): ZpsendError => new ZpsendError('RESUME_STALE', `a resume token cannot be used: ${why}`);

/** Sum of the 32-bit words, as fletcher4 of ZFS has it first; bytes that fill no word do not count. */
function sumOf(bytes: Buffer): bigint {
  let sum = 0n;
  for (let at = 0; at + 4 <= bytes.length; at += 4) sum += BigInt(bytes.readUInt32LE(at));
  return BigInt.asUintN(64, sum);
}

/** `VERSION-CHECKSUM-LENGTH-HEX`: a packed list of names and values, compressed by zlib. */
export function encodeToken({ toname, toguid, fromguid, object, offset, bytes, flags }: TokenContents): string {
  const values = new Map<string, NvValue>([
    ...(fromguid === undefined ? [] : [['fromguid', BigInt(fromguid)] as const]),
    ['object', object],
    ['offset', offset],
    ['bytes', bytes],
    ['toguid', BigInt(toguid)],
    ['toname', toname],
    ...(Object.keys(flagNames) as (keyof TokenFlags)[])
      .filter((flag) => flags[flag])
      .map((flag) => [flagNames[flag], true] as const),
  ]);
  const packed = packNvlist(values);
  const body = deflateSync(packed, { level: 6 });
  return `1-${sumOf(body).toString(16)}-${packed.length.toString(16)}-${body.toString('hex')}`;
}

function valuesIn(token: string): Map<string, NvValue> {
  const [, sum = '', length = '', hex] = /^1-([0-9a-f]{1,16})-([0-9a-f]{1,8})-((?:[0-9a-f]{2})+)$/.exec(token) ?? [];
  if (hex === undefined || !tokenSchema.safeParse(token).success) throw new Error('it is of an unknown form');
  const body = Buffer.from(hex, 'hex');
  if (sumOf(body) !== BigInt(`0x${sum}`)) throw new Error('its checksum is wrong');
  const packed = inflateSync(body, { maxOutputLength: mostBytes });
  if (packed.length !== Number.parseInt(length, 16)) throw new Error('its length is wrong');
  return unpackNvlist(packed);
}

/**
 * Reads a token of a peer, who may have made it up: `zfs send -nv -t` prints the text in it as it is, line breaks too, so what that prints is
 * not believed.
 * @throws ZpsendError RESUME_STALE for one that ZFS does not write, or of a stream that is never sent here (a redacted one)
 */
export function decodeToken(token: string): TokenContents {
  let values: Map<string, NvValue>;
  try {
    values = valuesIn(token);
  } catch (thrown) {
    throw stale(thrown instanceof Error ? thrown.message : String(thrown));
  }
  const strange = [...values.keys()].find((name) => !known.has(name));
  if (strange !== undefined) throw stale(`it holds ${JSON.stringify(strange.slice(0, 100))}`);
  const numbers = new Map(
    numberNames.map((name) => {
      const value = values.get(name);
      if (typeof value === 'bigint') return [name, value];
      if (value === undefined && name === 'fromguid') return [name, 0n];
      throw stale(`its ${name} is missing, or no number`);
    }),
  );
  const number = (name: (typeof numberNames)[number]): bigint => numbers.get(name) ?? 0n;
  const flags = Object.fromEntries(
    Object.entries(flagNames).map(([flag, name]) => {
      const value = values.get(name);
      if (value !== undefined && value !== true) throw stale(`its ${name} is no flag`);
      return [flag, value === true];
    }),
  ) as Record<keyof TokenFlags, boolean>;
  const toname = snapshotSchema.safeParse(values.get('toname'));
  if (!toname.success) throw stale('it names no snapshot');
  const fromguid = number('fromguid');
  return {
    toname: toname.data,
    toguid: String(number('toguid')),
    ...(fromguid !== 0n && { fromguid: String(fromguid) }),
    object: number('object'),
    offset: number('offset'),
    bytes: number('bytes'),
    flags,
  };
}

/** The same; undefined where it throws. */
export function peekToken(token: string): TokenContents | undefined {
  try {
    return decodeToken(token);
  } catch {
    return undefined;
  }
}
