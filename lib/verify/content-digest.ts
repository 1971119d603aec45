import { createHash, type Hash } from 'node:crypto';
import type { SnapshotDigest } from '../../schemas/digest.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { DataRuns } from './data-runs.ts';
import { beginBytes, ivSetOf } from './iv-set.ts';
import { type RecordSink, RecordSplitter, type StreamRecord } from './stream-records.ts';

/** Incremented when the hashed data changes, so that two releases never report equal contents as different. */
const version = 1;

type Taker = (piece: Buffer) => void;
type RecordOf<Type extends StreamRecord['type']> = StreamRecord & { type: Type };

/**
 * The digest of a snapshot's contents, from a full stream: equal for a replica with any stream flags, compression, record size or
 * holes. Hashes every object with its type, block size, bonus (owner, mode, times, size), data and spill block (large attributes),
 * but no names, guids and checksums of the stream. Hashes the blocks of a raw stream as they are.
 */
export class ContentDigest implements RecordSink {
  readonly #splitter = new RecordSplitter(this);
  // separate hashes, because a spill block may come before or after an object's data
  readonly #objects = createHash('sha256');
  readonly #spills = createHash('sha256');
  readonly #layout = createHash('sha256');
  readonly #data = createHash('sha256');
  readonly #runs = new DataRuns(this.#layout, this.#data);
  #begin: RecordOf<'begin'> | undefined;
  #beginPayload: Buffer[] = [];
  #take: Taker = ignore;

  /** The next bytes of the stream, in pieces of any size. @throws ZpsendError STREAM_BROKEN */
  push(chunk: Buffer): void {
    this.#splitter.push(chunk);
  }

  /** @throws ZpsendError STREAM_BROKEN unless the stream was whole */
  result(): SnapshotDigest {
    this.#splitter.end();
    if (!this.#begin) throw new ZpsendError('INTERNAL', 'the stream ended before its first record');
    this.#runs.close();
    const { order, toguid, raw } = this.#begin;
    const ivSet = raw ? ivSetOf(Buffer.concat(this.#beginPayload)) : undefined;
    const whole = createHash('sha256');
    for (const part of [this.#objects, this.#spills, this.#layout, this.#data]) whole.update(part.digest());
    return {
      digest: whole.digest('hex'),
      method: `${raw ? 'raw' : 'plain'}-${version}-${order}`,
      guid: toguid,
      ...(ivSet !== undefined && { ivSet }),
    };
  }

  record(record: StreamRecord): void {
    this.#take = this.#takerFor(record);
  }

  payload(piece: Buffer): void {
    this.#take(piece);
  }

  #takerFor(record: StreamRecord): Taker {
    switch (record.type) {
      case 'begin':
        return this.#takeBegin(record);
      case 'object': {
        const { object, kind, bonusKind, blockSize, bonusLength } = record;
        this.#objects.update(`${object} ${kind} ${bonusKind} ${blockSize} ${bonusLength}\n`);
        return first(bonusLength, this.#objects);
      }
      case 'write':
        if (!record.isPlain || this.#begin?.raw) return this.#takeAsItIs(record);
        return this.#runs.taker(record.object, record.offset, record.payload);
      case 'embedded':
        return this.#takeAsItIs(record);
      case 'spill': {
        const { object, length, compression, payload } = record;
        this.#spills.update(`${object} ${length} ${compression} ${payload}\n`);
        return first(payload, this.#spills);
      }
      case 'other':
      case 'end':
        return ignore;
    }
  }

  #takeBegin(record: RecordOf<'begin'>): Taker {
    if (record.fromguid !== '0') throw new ZpsendError('INTERNAL', 'an incremental stream does not contain all data');
    this.#begin = record;
    let room = beginBytes;
    return (piece) => {
      // a copy, because the caller reuses the memory
      if (room > 0) this.#beginPayload.push(Buffer.from(piece.subarray(0, room)));
      room -= piece.length;
    };
  }

  /** A block that is compressed or encrypted. */
  #takeAsItIs({ object, offset, length, compression, payload }: RecordOf<'write' | 'embedded'>): Taker {
    this.#runs.close();
    this.#layout.update(`block ${object} ${offset} ${length} ${compression} ${payload}\n`);
    return first(payload, this.#data);
  }
}

const ignore = (): void => {};

/** Hashes this number of bytes, without the padding of a record. */
function first(bytes: number, into: Hash): Taker {
  let left = bytes;
  return (piece) => {
    if (left > 0) into.update(piece.subarray(0, left));
    left -= piece.length;
  };
}
