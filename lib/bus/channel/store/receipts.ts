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

/** A receipt, with its stream and target. */
export interface PlacedReceipt {
  readonly target: string;
  readonly id: string;
  /** The index of the target in the manifest. */
  readonly place: number;
  readonly receipt: Receipt;
}

/** The delivery receipts of targets, in the KV bucket `zfs-status` of the store's JetStream domain. Every failure is a ZpsendError. */
export interface Receipts {
  /** Writes as the target; no other host may. Creates the bucket if there is none. */
  write(target: string, source: string, id: string, place: number, receipt: Receipt): Promise<void>;
  /** Writes that a target has claimed a stream, unless there is a receipt already. */
  begin(target: string, source: string, id: string, place: number): Promise<void>;
  remove(target: string, source: string, id: string, place: number): Promise<void>;
  /** The receipts for one source's streams, of all targets or of one. Invalid receipts are skipped. */
  read(source: string, target?: string): Promise<PlacedReceipt[]>;
}

/** There is a receipt already (10071). */
const exists = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10071;

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

/** The limits of a receipt: its bytes as JSON, and the characters of each of its texts. */
const mostReceiptBytes = 8192;
const mostCharacters = 500;

/** Shortens a receipt to the limits. A long one loses its evidence, which no reader uses for decisions. */
function shortened(receipt: Receipt): Receipt {
  const { error } = receipt;
  if (!error || Buffer.byteLength(JSON.stringify(receipt)) <= mostReceiptBytes) return receipt;
  const { details = {}, message, ...rest } = error;
  const kept = Object.entries(details).filter(
    ([, value]) => typeof value !== 'object' && String(value).length <= mostCharacters,
  );
  return {
    ...receipt,
    error: { ...rest, message: message.slice(0, mostCharacters), details: Object.fromEntries(kept.slice(0, 8)) },
  };
}

export function openReceipts(at: JetStreamAt): Receipts {
  const label = nameAt(at, statusBucket);
  const open = () => openBucket(at, statusBucket);

  async function write(key: string, receipt: Receipt, where: { previousSeq?: number } = {}): Promise<void> {
    try {
      await (await open()).put(key, JSON.stringify(receipt), where);
    } catch (error) {
      // the bucket exists and refused the receipt, for example because it is full
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
        await write(receiptKey(target, source, id, place), shortened(receipt));
      } catch (error) {
        throw bucketError(error, `a receipt cannot be written to ${label}`);
      }
    },
    async begin(target, source, id, place) {
      try {
        await write(receiptKey(target, source, id, place), { state: 'running', bytes: 0 }, { previousSeq: 0 });
      } catch (error) {
        if (!exists(error)) throw bucketError(error, `a receipt cannot be written to ${label}`);
      }
    },
    async remove(target, source, id, place) {
      try {
        await (await open()).purge(receiptKey(target, source, id, place));
      } catch (error) {
        throw bucketError(error, `a receipt cannot be removed from ${label}`);
      }
    },
    async read(source, target = '*') {
      try {
        return await read(source, target);
      } catch (error) {
        if (isGone(error)) return [];
        throw bucketError(error, `receipts cannot be read from ${label}`);
      }
    },
  };
}
