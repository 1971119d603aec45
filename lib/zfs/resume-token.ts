import { deflateSync, inflateSync } from 'node:zlib';
import { ZpsendError } from '../../schemas/errors.ts';
import { snapshotSchema, tokenSchema } from '../../schemas/names.ts';
import { type NvValue, packNvlist, unpackNvlist } from './nvlist.ts';

/** The state of an interrupted receive, which `zfs send -t` continues (dsl_dataset.c, get_receive_resume_token). */
export interface TokenContents {
  /** The source's snapshot. */
  readonly toname: string;
  readonly toguid: string;
  /** Absent in the token of a full stream. */
  readonly fromguid?: string;
  readonly object: bigint;
  readonly offset: bigint;
  /** Bytes of the stream that the target has received. */
  readonly bytes: bigint;
  readonly flags: TokenFlags;
}

/** The flags of its stream. */
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

/** Limit of an unpacked token, in bytes; a real one has some hundred. */
const mostBytes = 16 * 1024;

const stale = (why: string): ZpsendError => new ZpsendError('RESUME_STALE', `a resume token cannot be used: ${why}`);

/** The sum of the 32-bit words, which is the first word of ZFS's fletcher4; trailing bytes do not count. */
function sumOf(bytes: Buffer): bigint {
  let sum = 0n;
  for (let at = 0; at + 4 <= bytes.length; at += 4) sum += BigInt(bytes.readUInt32LE(at));
  return BigInt.asUintN(64, sum);
}

/** `VERSION-CHECKSUM-LENGTH-HEX`: a packed nvlist, compressed by zlib. */
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
 * Decodes a peer's token. It may be forged, and `zfs send -nv -t` prints its text unescaped, so that output cannot be used.
 * @throws ZpsendError RESUME_STALE for a token that ZFS does not write, or of a redacted stream
 */
export function decodeToken(token: string): TokenContents {
  let values: Map<string, NvValue>;
  try {
    values = valuesIn(token);
  } catch (thrown) {
    throw stale(thrown instanceof Error ? thrown.message : String(thrown));
  }
  const strange = [...values.keys()].find((name) => !known.has(name));
  if (strange !== undefined) throw stale(`it contains ${JSON.stringify(strange.slice(0, 100))}`);
  const numbers = new Map(
    numberNames.map((name) => {
      const value = values.get(name);
      if (typeof value === 'bigint') return [name, value];
      if (value === undefined && name === 'fromguid') return [name, 0n];
      throw stale(`its ${name} is missing or not a number`);
    }),
  );
  const number = (name: (typeof numberNames)[number]): bigint => numbers.get(name) ?? 0n;
  const flags = Object.fromEntries(
    Object.entries(flagNames).map(([flag, name]) => {
      const value = values.get(name);
      if (value !== undefined && value !== true) throw stale(`its ${name} is not a flag`);
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

/** As `decodeToken`, but undefined for an invalid token. */
export function peekToken(token: string): TokenContents | undefined {
  try {
    return decodeToken(token);
  } catch {
    return undefined;
  }
}
