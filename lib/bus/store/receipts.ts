import { jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type Receipt, receiptSchema } from '../../../schemas/stored.ts';
import type { Bus } from '../connect.ts';
import { parseReceiptKey, receiptKey, statusBucket } from '../subjects.ts';

/** A receipt, and what it is of. */
export interface PlacedReceipt {
  readonly target: string;
  readonly id: string;
  /** Which of the manifest's targets. */
  readonly place: number;
  readonly receipt: Receipt;
}

/** What targets say of stored streams. Every failure is a ZpsendError. */
export interface Receipts {
  /** As the target, which alone may. */
  write(target: string, source: string, id: string, place: number, receipt: Receipt): Promise<void>;
  remove(target: string, source: string, id: string, place: number): Promise<void>;
  /** Of one source's streams, by all targets or by one; what cannot be read is none. */
  read(source: string, target?: string): Promise<PlacedReceipt[]>;
}

const translate = (thrown: unknown, what: string): ZpsendError =>
  thrown instanceof ZpsendError
    ? thrown
    : new ZpsendError('UNREACHABLE', `${what} ${statusBucket}: ${thrown instanceof Error ? thrown.message : thrown}`);

export function openReceipts(bus: Bus): Receipts {
  const buckets = new Kvm(jetstream(bus.nc, { timeout: 4000 }));
  let opened: Promise<KV> | undefined;

  function bucket(): Promise<KV> {
    opened ??= buckets.create(statusBucket, { history: 1 }).catch((thrown) => {
      opened = undefined;
      throw thrown;
    });
    return opened;
  }
  async function attempt<T>(what: string, work: (kv: KV) => Promise<T>): Promise<T> {
    try {
      return await work(await bucket());
    } catch (thrown) {
      // it may have been lost, and is made again
      opened = undefined;
      throw translate(thrown, what);
    }
  }

  return {
    write: (target, source, id, place, receipt) =>
      attempt('writing to', async (kv) => {
        await kv.put(receiptKey(target, source, id, place), JSON.stringify(receipt));
      }),
    remove: (target, source, id, place) =>
      attempt('removing from', (kv) => kv.purge(receiptKey(target, source, id, place))),
    read: (source, target = '*') =>
      attempt('reading from', async (kv) => {
        const found: PlacedReceipt[] = [];
        for await (const key of await kv.keys(`${target}.taken.${source}.>`)) {
          const of = parseReceiptKey(key);
          const entry = of && (await kv.get(key));
          const receipt = entry?.operation === 'PUT' ? parse(entry.string()) : undefined;
          if (of && receipt) found.push({ target: of.target, id: of.id, place: of.place, receipt });
        }
        return found;
      }),
  };
}

function parse(text: string): Receipt | undefined {
  try {
    return receiptSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
