import { JetStreamApiError, type StoredMsg } from '@nats-io/jetstream';
import { type Receipt, receiptSchema } from '../../../../schemas/stored.ts';
import { type JetStreamAt, nameAt } from '../../jetstream/jetstream.ts';
import { bucketError, isGone, makeBucket, openBucket, stateOf } from '../../jetstream/kv-bucket.ts';
import { isValue, lastMessages } from '../../jetstream/read-bucket.ts';
import {
  keySubject,
  parseKeySubject,
  parseReceiptKey,
  receiptKey,
  receiptKeys,
  statusBucket,
  statusDescription,
} from '../../subjects.ts';

/** A receipt, and what it is of. */
export interface PlacedReceipt {
  readonly target: string;
  readonly id: string;
  /** Which of the manifest's targets. */
  readonly place: number;
  readonly receipt: Receipt;
}

/** What targets say of stored streams, in the KV bucket `zfs-status` beside the store. Every failure is a ZpsendError. */
export interface Receipts {
  /** As the target, which alone may. The bucket is made where there is none. */
  write(target: string, source: string, id: string, place: number, receipt: Receipt): Promise<void>;
  /** As `write` does, that a target has begun, where nothing was said of the stream yet. */
  begin(target: string, source: string, id: string, place: number): Promise<void>;
  remove(target: string, source: string, id: string, place: number): Promise<void>;
  /** Of one source's streams, by all targets or by one; what cannot be read is none. */
  read(source: string, target?: string): Promise<PlacedReceipt[]>;
}

/** Another one has written it before (10071). */
const isSaid = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10071;

const stream = `KV_${statusBucket}`;

function placed(message: StoredMsg): PlacedReceipt | undefined {
  const of = parseReceiptKey(parseKeySubject(statusBucket, message.subject) ?? '');
  if (!of || !isValue(message)) return undefined;
  try {
    const { data: receipt } = receiptSchema.safeParse(message.json());
    return receipt && { target: of.target, id: of.id, place: of.place, receipt };
  } catch {
    return undefined;
  }
}

/** The evidence of a long receipt is left out, so that a bucket with a bound takes it: in bytes, and letters of what stays. */
const mostReceiptBytes = 8192;
const mostLetters = 500;

/** A receipt that fits into a bucket: of a long one, what its reader decides by. */
function brief(receipt: Receipt): Receipt {
  const { error } = receipt;
  if (!error || Buffer.byteLength(JSON.stringify(receipt)) <= mostReceiptBytes) return receipt;
  const { details = {}, message, ...rest } = error;
  const kept = Object.entries(details).filter(
    ([, value]) => typeof value !== 'object' && String(value).length <= mostLetters,
  );
  return {
    ...receipt,
    error: { ...rest, message: message.slice(0, mostLetters), details: Object.fromEntries(kept.slice(0, 8)) },
  };
}

export function openReceipts(at: JetStreamAt): Receipts {
  const called = nameAt(at, statusBucket);
  const open = () => openBucket(at, statusBucket);

  async function write(key: string, receipt: Receipt, where: { previousSeq?: number } = {}): Promise<void> {
    try {
      await (await open()).put(key, JSON.stringify(receipt), where);
    } catch (error) {
      // the bucket itself has refused it: it is full, say
      if (error instanceof JetStreamApiError || (await stateOf(await open()))) throw error;
      await makeBucket(at, statusBucket, { description: statusDescription });
      await (await open()).put(key, JSON.stringify(receipt), where);
    }
  }

  async function read(source: string, target: string): Promise<PlacedReceipt[]> {
    const filter = keySubject(statusBucket, receiptKeys(target, source));
    return [...(await lastMessages(at, stream, filter, placed)).found];
  }

  return {
    async write(target, source, id, place, receipt) {
      try {
        await write(receiptKey(target, source, id, place), brief(receipt));
      } catch (error) {
        throw bucketError(error, `a receipt cannot be written to ${called}`);
      }
    },
    async begin(target, source, id, place) {
      try {
        await write(receiptKey(target, source, id, place), { state: 'running', bytes: 0 }, { previousSeq: 0 });
      } catch (error) {
        if (!isSaid(error)) throw bucketError(error, `a receipt cannot be written to ${called}`);
      }
    },
    async remove(target, source, id, place) {
      try {
        await (await open()).purge(receiptKey(target, source, id, place));
      } catch (error) {
        throw bucketError(error, `a receipt cannot be removed from ${called}`);
      }
    },
    async read(source, target = '*') {
      try {
        return await read(source, target);
      } catch (error) {
        if (isGone(error)) return [];
        throw bucketError(error, `receipts cannot be read from ${called}`);
      }
    },
  };
}
