import { ZpsendError } from '../../schemas/errors.ts';

/** Bytes of a record's header: `dmu_replay_record_t`, include/sys/zfs_ioctl.h of OpenZFS. */
const headerBytes = 312;

export type ByteOrder = 'little' | 'big';

/**
 * The fields of a record of a `zfs send` stream that describe contents; `payload` is the number of bytes after it. Offsets use all 64 bits:
 * a sparse file may have data anywhere, and a replica of `send -e` has some at -1024 (openzfs#18239).
 */
export type StreamRecord = { payload: number } & (
  | { type: 'begin'; order: ByteOrder; toguid: string; fromguid: string; raw: boolean }
  | { type: 'object'; object: number; kind: number; bonusKind: number; blockSize: number; bonusLength: number }
  | { type: 'write'; object: number; offset: bigint; length: number; compression: number; isPlain: boolean }
  | { type: 'embedded'; object: number; offset: bigint; length: number; compression: number }
  | { type: 'spill'; object: number; length: number; compression: number }
  /** A record about free space or encryption parameters. */
  | { type: 'other' }
  | { type: 'end' }
);

const magic = 0x2f5bacbacn;
/** `DMU_BACKUP_FEATURE_RAW`; the flags are above the two bits of the header's type. */
const rawFlag = 1n << (2n + 24n);
const substream = 1n;

const broken = (what: string): ZpsendError =>
  new ZpsendError('STREAM_BROKEN', `the output of zfs send cannot be read: ${what}`);

const roundUp8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;

class Header {
  readonly order: ByteOrder;
  readonly #view: DataView;

  constructor(bytes: Buffer, order: ByteOrder) {
    this.order = order;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte = (at: number): number => this.#view.getUint8(at);
  small = (at: number): number => this.#view.getUint32(at, this.order === 'little');
  whole = (at: number): bigint => this.#view.getBigUint64(at, this.order === 'little');

  /** A 64-bit offset or size as a number. @throws ZpsendError STREAM_BROKEN if it is not a safe integer */
  large(at: number): number {
    const number = Number(this.whole(at));
    if (Number.isSafeInteger(number)) return number;
    throw broken(`a record has ${number} as an offset or a size`);
  }
}

/** The byte order of a stream, from the magic number of its first record. @throws ZpsendError STREAM_BROKEN */
function orderOf(bytes: Buffer): ByteOrder {
  if (bytes.readBigUInt64LE(8) === magic) return 'little';
  if (bytes.readBigUInt64BE(8) === magic) return 'big';
  throw broken('it is not a ZFS stream');
}

function begin(header: Header): StreamRecord {
  const version = header.whole(16);
  // compound streams of `zfs send -R` and `-p` contain streams
  if ((version & 3n) !== substream) throw broken('it is a compound stream');
  return {
    type: 'begin',
    order: header.order,
    toguid: String(header.whole(40)),
    fromguid: String(header.whole(48)),
    raw: (version & rawFlag) !== 0n,
    payload: header.small(4),
  };
}

function object(header: Header): StreamRecord {
  const bonusLength = header.small(28);
  const rawBonus = header.small(36);
  return {
    type: 'object',
    object: header.large(8),
    kind: header.small(16),
    bonusKind: header.small(20),
    blockSize: header.small(24),
    bonusLength: rawBonus > 0 ? rawBonus : bonusLength,
    payload: rawBonus > 0 ? rawBonus : roundUp8(bonusLength),
  };
}

function write(header: Header): StreamRecord {
  const length = header.large(32);
  const compressed = header.large(96);
  return {
    type: 'write',
    object: header.large(8),
    offset: header.whole(24),
    length,
    compression: header.byte(50),
    isPlain: compressed === 0,
    payload: compressed > 0 ? compressed : length,
  };
}

function spill(header: Header): StreamRecord {
  const length = header.large(16);
  const compressed = header.large(40);
  const payload = compressed > 0 ? compressed : length;
  return { type: 'spill', object: header.large(8), length, compression: header.byte(33), payload };
}

const embedded = (header: Header): StreamRecord => ({
  type: 'embedded',
  object: header.large(8),
  offset: header.whole(16),
  length: header.large(24),
  compression: header.byte(40),
  payload: roundUp8(header.small(52)),
});

const other = (): StreamRecord => ({ type: 'other', payload: 0 });

/** By `drr_type`, without 6 (WRITE_BYREF) and 10 (REDACT): zpsend does not request deduplicated or redacted streams. */
const decoders: Partial<Record<number, (header: Header) => StreamRecord>> = {
  0: begin,
  1: object,
  2: other,
  3: write,
  4: other,
  5: () => ({ type: 'end', payload: 0 }),
  7: spill,
  8: embedded,
  9: other,
};

export interface RecordSink {
  record(record: StreamRecord): void;
  /** The next piece of the last record's payload; the caller reuses its memory. */
  payload(piece: Buffer): void;
}

/** Splits a stream, in pieces of any size, into its records. Buffers at most one header. */
export class RecordSplitter {
  readonly #sink: RecordSink;
  readonly #buffered = Buffer.alloc(headerBytes);
  #bufferedBytes = 0;
  #payloadLeft = 0;
  #order: ByteOrder | undefined;
  #isOver = false;

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  /** @throws ZpsendError STREAM_BROKEN for bytes that are not a stream */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#payloadLeft > 0) {
        const piece = chunk.subarray(at, at + this.#payloadLeft);
        this.#sink.payload(piece);
        this.#payloadLeft -= piece.length;
        at += piece.length;
      } else if (this.#bufferedBytes === 0 && chunk.length - at >= headerBytes) {
        this.#header(chunk.subarray(at, at + headerBytes));
        at += headerBytes;
      } else {
        const taken = chunk.copy(this.#buffered, this.#bufferedBytes, at);
        at += taken;
        this.#bufferedBytes += taken;
        if (this.#bufferedBytes < headerBytes) continue;
        this.#bufferedBytes = 0;
        this.#header(this.#buffered);
      }
    }
  }

  /** Called at the end of the stream. @throws ZpsendError STREAM_BROKEN if the stream is incomplete */
  end(): void {
    if (!this.#isOver) throw broken('it ends before its end record');
  }

  #header(bytes: Buffer): void {
    if (this.#isOver) throw broken('more follows its end record');
    const isFirst = this.#order === undefined;
    this.#order ??= orderOf(bytes);
    const header = new Header(bytes, this.#order);
    const type = header.small(0);
    const decode = decoders[type];
    if (decode === undefined || (type === 0) !== isFirst) throw broken(`a record of type ${type} is unexpected there`);
    const record = decode(header);
    this.#payloadLeft = record.payload;
    this.#isOver = record.type === 'end';
    this.#sink.record(record);
  }
}
