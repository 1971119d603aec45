import { ZpsendError } from '../../schemas/errors.ts';

/** Every record begins with so many bytes: `dmu_replay_record_t`, include/sys/zfs_ioctl.h of OpenZFS. */
const headerBytes = 312;

export type ByteOrder = 'little' | 'big';

/**
 * One record of a `zfs send` stream, as far as a reader of contents needs it; `payload` is the bytes that follow it. Offsets use all
 * of their 64 bits: a sparse file may have data anywhere, and a replica of `send -e` has some at -1024 (openzfs#18239).
 */
export type StreamRecord = { payload: number } & (
  | { type: 'begin'; order: ByteOrder; toguid: string; fromguid: string; raw: boolean }
  | { type: 'object'; object: number; kind: number; bonusKind: number; blockSize: number; bonusLength: number }
  | { type: 'write'; object: number; offset: bigint; length: number; compression: number; isPlain: boolean }
  | { type: 'embedded'; object: number; offset: bigint; length: number; compression: number }
  | { type: 'spill'; object: number; length: number; compression: number }
  /** What says that something is not there, or how it is encrypted. */
  | { type: 'other' }
  | { type: 'end' }
);

const magic = 0x2f5bacbacn;
/** `DMU_BACKUP_FEATURE_RAW`; the flags stand above the two bits of the header's type. */
const rawFlag = 1n << (2n + 24n);
const substream = 1n;

const broken = (what: string): ZpsendError =>
  new ZpsendError('STREAM_BROKEN', `what zfs send printed cannot be read: ${what}`);

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

  /** A 64-bit number that says a place or a size. */
  large(at: number): number {
    const number = Number(this.whole(at));
    if (Number.isSafeInteger(number)) return number;
    throw broken(`a record has ${number} where a place or a size is expected`);
  }
}

/** The byte order of a stream, told by the magic number of its first record. @throws ZpsendError STREAM_BROKEN */
function orderOf(bytes: Buffer): ByteOrder {
  if (bytes.readBigUInt64LE(8) === magic) return 'little';
  if (bytes.readBigUInt64BE(8) === magic) return 'big';
  throw broken('it does not begin as a stream does');
}

function begin(header: Header): StreamRecord {
  const version = header.whole(16);
  // of `zfs send -R` and `-p`, which hold streams within a stream
  if ((version & 3n) !== substream) throw broken('it is a stream of streams');
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

/** By `drr_type`; 6 is WRITE_BYREF of deduplicated streams, and 10 REDACT: neither comes without its flag. */
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
  /** The next piece of the last record's payload; its memory is the caller's. */
  payload(piece: Buffer): void;
}

/** Cuts a stream into its records, whatever the pieces it comes in, and keeps one header at most. */
export class RecordSplitter {
  readonly #sink: RecordSink;
  readonly #held = Buffer.alloc(headerBytes);
  #heldBytes = 0;
  #payloadLeft = 0;
  #order: ByteOrder | undefined;
  #isOver = false;

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  /** @throws ZpsendError STREAM_BROKEN for what is no stream */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#payloadLeft > 0) {
        const piece = chunk.subarray(at, at + this.#payloadLeft);
        this.#sink.payload(piece);
        this.#payloadLeft -= piece.length;
        at += piece.length;
      } else if (this.#heldBytes === 0 && chunk.length - at >= headerBytes) {
        this.#header(chunk.subarray(at, at + headerBytes));
        at += headerBytes;
      } else {
        const taken = chunk.copy(this.#held, this.#heldBytes, at);
        at += taken;
        this.#heldBytes += taken;
        if (this.#heldBytes < headerBytes) continue;
        this.#heldBytes = 0;
        this.#header(this.#held);
      }
    }
  }

  /** To be called when no more comes. @throws ZpsendError STREAM_BROKEN unless the stream was whole */
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
    if (decode === undefined || (type === 0) !== isFirst)
      throw broken(`a record of type ${type} is not expected there`);
    const record = decode(header);
    this.#payloadLeft = record.payload;
    this.#isOver = record.type === 'end';
    this.#sink.record(record);
  }
}
