import type { StreamFlag } from '../../schemas/stream.ts';

/** A record's header (sys/zfs_ioctl.h, dmu_replay_record_t). */
const headerBytes = 312;
const magic = 0x2f5bacbacn;
const begin = 0;
const end = 5;
/** The two lowest bits of a begin record's version: a stream, or one that holds streams, as `zfs send -p` makes it. */
const kinds = { stream: 1n, compound: 2n } as const;
const feature = (bit: bigint): bigint => 1n << (2n + bit);
/** DMU_BACKUP_FEATURE_* of the same header. */
const features = { embed: 16n, largeBlock: 19n, redacted: 21n, compressed: 22n, raw: 24n } as const;
/** What precedes the stream in one with properties: with them the names of all snapshots before it, some hundred bytes each. */
const mostProperties = 32 * 1024 * 1024;

/** What is said of bytes that are no stream, and of one whose properties take too much memory. */
export const noStream = 'it does not begin as a stream does';
export const tooLarge = 'its properties are too large';

/** What a stream says of itself in its first record. */
interface StreamHead {
  readonly toguid: string;
  /** "0" of a full stream. */
  readonly fromguid: string;
  readonly raw: boolean;
  readonly redacted: boolean;
  /** What a stream that is not raw has only where it was asked for. */
  readonly embed: boolean;
  readonly largeBlock: boolean;
  readonly compressed: boolean;
}

/** What the beginning of a stream says; or how many bytes of it that takes. */
export type HeadOrNeed = StreamHead | { readonly needs: number };

/**
 * Reads the first record of a `zfs send` stream; of one with properties, the first of the stream within it.
 * @throws Error for bytes that are no stream
 */
export function headOf(bytes: Buffer): HeadOrNeed {
  const outer = beginAt(bytes, 0);
  if (!('payload' in outer)) return outer;
  const inner = headerBytes + outer.payload;
  if (bytes.length < inner + headerBytes) return { needs: inner + 2 * headerBytes };
  if (outer.small(bytes, inner) !== end) throw new Error('its properties have no end');
  const within = beginAt(bytes, inner + headerBytes);
  if ('payload' in within) throw new Error('it is a stream of streams of streams');
  return within;
}

type Small = (bytes: Buffer, at: number) => number;

function beginAt(bytes: Buffer, at: number): HeadOrNeed | { payload: number; small: Small } {
  if (bytes.length < at + headerBytes) return { needs: at + headerBytes };
  const isLittle = bytes.readBigUInt64LE(at + 8) === magic;
  if (!isLittle && bytes.readBigUInt64BE(at + 8) !== magic) throw new Error(noStream);
  const small: Small = (from, place) => (isLittle ? from.readUInt32LE(place) : from.readUInt32BE(place));
  const large = (place: number): bigint =>
    isLittle ? bytes.readBigUInt64LE(at + place) : bytes.readBigUInt64BE(at + place);
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

/** What the stream of a step has to be. */
export interface ExpectedStream {
  readonly toguid: string;
  readonly fromguid?: string | undefined;
  readonly raw: boolean;
  /** The flags that were asked for; undefined where they are not known. */
  readonly flags?: readonly StreamFlag[] | undefined;
}

/** In what a stream is another one than was expected; undefined where it is the one. */
function differenceOf(head: StreamHead, { toguid, fromguid = '0', raw, flags }: ExpectedStream): string | undefined {
  if (head.toguid !== toguid) return `it brings the snapshot with guid ${head.toguid}, not ${toguid}`;
  if (head.fromguid !== fromguid) return `it starts from guid ${head.fromguid}, not ${fromguid}`;
  if (head.raw !== raw) return raw ? 'it is decrypted, not raw' : 'it is raw, not plain';
  if (head.redacted) return 'it is redacted';
  // a raw stream is as its dataset is
  const strange = raw || !flags ? undefined : optional.find(([field, flag]) => head[field] && !flags.includes(flag));
  return strange && `it has the flag ${strange[1]}`;
}

const optional = [
  ['embed', 'embed'],
  ['largeBlock', 'large-block'],
  ['compressed', 'compressed'],
] as const;

/** Holds back the beginning of a stream until it is known to be the expected one. */
export interface HeadCheck {
  /** It is: what comes needs no look any more. */
  readonly isPassed: boolean;
  /** In what it is another one, once that is known. */
  readonly difference: string | undefined;
  /**
   * @returns all that was held back once the stream is known, and until then nothing; the bytes are copied, of 32 MiB at most
   * @throws Error where it is another stream, or none
   */
  take(bytes: Buffer): Buffer | undefined;
}

export function openHeadCheck(expected: ExpectedStream): HeadCheck {
  let held: Buffer[] = [];
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
      held.push(Buffer.from(bytes));
      length += bytes.length;
      // put together only when there is enough: there may be many pieces
      if (length < needs) return undefined;
      const all = Buffer.concat(held);
      held = [all];
      const head = headOf(all);
      if ('needs' in head) {
        needs = head.needs;
        return undefined;
      }
      difference = differenceOf(head, expected);
      if (difference !== undefined) throw new Error(difference);
      isPassed = true;
      held = [];
      return all;
    },
  };
}
