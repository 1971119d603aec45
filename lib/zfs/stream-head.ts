import type { StreamFlag } from '../../schemas/stream.ts';

/** Bytes of a record's header (sys/zfs_ioctl.h, dmu_replay_record_t). */
const headerBytes = 312;
const magic = 0x2f5bacbacn;
const begin = 0;
const end = 5;
/** The two lowest bits of a BEGIN record's version: a plain stream, or a compound one, as `zfs send -p` makes it. */
const kinds = { stream: 1n, compound: 2n } as const;
const feature = (bit: bigint): bigint => 1n << (2n + bit);
/** DMU_BACKUP_FEATURE_* of sys/zfs_ioctl.h. */
const features = { embed: 16n, largeBlock: 19n, redacted: 21n, compressed: 22n, raw: 24n } as const;
/** Limit of the nvlist before a compound stream, in bytes: it has all earlier snapshots, some hundred bytes each. */
const mostProperties = 32 * 1024 * 1024;

export const noStream = 'it is not a ZFS stream';
export const tooLarge = 'its properties are too large';

/** The first record of a stream. */
interface StreamHead {
  readonly toguid: string;
  /** "0" for a full stream. */
  readonly fromguid: string;
  readonly raw: boolean;
  readonly redacted: boolean;
  /** This and the next two: a plain stream has them only on request. */
  readonly embed: boolean;
  readonly largeBlock: boolean;
  readonly compressed: boolean;
}

/** The head of a stream, or the number of its first bytes that are needed to read it. */
export type HeadOrNeed = StreamHead | { readonly needs: number };

/**
 * Reads the first record of a `zfs send` stream; of a compound one, the first of the stream within it.
 * @throws Error for bytes that are not a stream
 */
export function headOf(bytes: Buffer): HeadOrNeed {
  const outer = beginAt(bytes, 0);
  if (!('payload' in outer)) return outer;
  const inner = headerBytes + outer.payload;
  if (bytes.length < inner + headerBytes) return { needs: inner + 2 * headerBytes };
  if (outer.small(bytes, inner) !== end) throw new Error('its properties have no end');
  const within = beginAt(bytes, inner + headerBytes);
  if ('payload' in within) throw new Error('it is a compound stream within a compound stream');
  return within;
}

type Small = (bytes: Buffer, at: number) => number;

function beginAt(bytes: Buffer, at: number): HeadOrNeed | { payload: number; small: Small } {
  if (bytes.length < at + headerBytes) return { needs: at + headerBytes };
  const isLittle = bytes.readBigUInt64LE(at + 8) === magic;
  if (!isLittle && bytes.readBigUInt64BE(at + 8) !== magic) throw new Error(noStream);
  const small: Small = (from, offset) => (isLittle ? from.readUInt32LE(offset) : from.readUInt32BE(offset));
  const large = (offset: number): bigint =>
    isLittle ? bytes.readBigUInt64LE(at + offset) : bytes.readBigUInt64BE(at + offset);
  if (small(bytes, at) !== begin) throw new Error(noStream);
  const version = large(16);
  const kind = version & 3n;
  if (kind === kinds.compound) {
    const payload = small(bytes, at + 4);
    if (payload > mostProperties) throw new Error(tooLarge);
    return { payload, small };
  }
  if (kind !== kinds.stream) throw new Error('it is of an unknown kind');
  const has = (bit: bigint): boolean => (version & feature(bit)) !== 0n;
  return {
    toguid: String(large(40)),
    fromguid: String(large(48)),
    raw: has(features.raw),
    redacted: has(features.redacted),
    embed: has(features.embed),
    largeBlock: has(features.largeBlock),
    compressed: has(features.compressed),
  };
}

/** The stream that a step expects. */
export interface ExpectedStream {
  readonly toguid: string;
  readonly fromguid?: string | undefined;
  readonly raw: boolean;
  /** The requested flags; undefined if unknown. */
  readonly flags?: readonly StreamFlag[] | undefined;
}

/** How a stream differs from the expected one; undefined if it does not. */
function differenceOf(head: StreamHead, { toguid, fromguid = '0', raw, flags }: ExpectedStream): string | undefined {
  if (head.toguid !== toguid) return `it contains the snapshot with guid ${head.toguid}, not ${toguid}`;
  if (head.fromguid !== fromguid) return `it starts from guid ${head.fromguid}, not ${fromguid}`;
  if (head.raw !== raw) return raw ? 'it is decrypted, not raw' : 'it is raw, not plain';
  if (head.redacted) return 'it is redacted';
  // the flags of a raw stream depend on its dataset
  const strange = raw || !flags ? undefined : optional.find(([field, flag]) => head[field] && !flags.includes(flag));
  return strange && `it has the flag ${strange[1]}`;
}

const optional = [
  ['embed', 'embed'],
  ['largeBlock', 'large-block'],
  ['compressed', 'compressed'],
] as const;

/** Buffers the beginning of a stream until it is known to be the expected one. */
export interface HeadCheck {
  /** The stream is the expected one: later bytes need no check. */
  readonly isPassed: boolean;
  /** How the stream differs, once that is known. */
  readonly difference: string | undefined;
  /**
   * @returns a copy of all buffered bytes (at most 32 MiB) once the stream is known, and undefined before
   * @throws Error if it is another stream, or not a stream
   */
  take(bytes: Buffer): Buffer | undefined;
}

export function openHeadCheck(expected: ExpectedStream): HeadCheck {
  let buffered: Buffer[] = [];
  let [length, needs] = [0, headerBytes];
  let isPassed = false;
  let difference: string | undefined;
  return {
    get isPassed() {
      return isPassed;
    },
    get difference() {
      return difference;
    },
    take(bytes) {
      buffered.push(Buffer.from(bytes));
      length += bytes.length;
      // concatenates only when there is enough: there may be many pieces
      if (length < needs) return undefined;
      const all = Buffer.concat(buffered);
      buffered = [all];
      const head = headOf(all);
      if ('needs' in head) {
        needs = head.needs;
        return undefined;
      }
      difference = differenceOf(head, expected);
      if (difference !== undefined) throw new Error(difference);
      isPassed = true;
      buffered = [];
      return all;
    },
  };
}
