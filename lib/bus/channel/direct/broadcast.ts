import type { Readable } from 'node:stream';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { type Clock, systemClock } from '../../../time/clock.ts';
import { timing } from '../../../time/timing.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import { type ByteSource, sourceOf } from '../byte-source.ts';
import type { Subscriber } from '../channel.ts';
import { pump } from '../pump.ts';
import { openStragglers } from '../slow-receivers.ts';
import { dataPublications } from './publish.ts';

export interface BroadcastOptions {
  /** Where the bytes are published, once for all subscribers that do not take them themselves. */
  readonly subject: string;
  readonly subscribers: readonly Subscriber[];
  readonly clock?: Clock;
}

/** How many samples of the receivers are kept. */
const samples = 40;

/**
 * Sends all of `source` once, to every subscriber from its first byte on, no faster than the slowest of them takes it. One that fails
 * is left out, and so is one for which the others wait most of the time; nothing is sent any more when none is left.
 * @throws ZpsendError when the source breaks off, or with the last subscriber's failure
 */
export async function broadcast(
  dataConnection: DataConnection,
  options: BroadcastOptions,
  source: ByteSource | Readable,
): Promise<void> {
  const { subject, subscribers, clock = systemClock } = options;
  let offset = 0;
  const living = (): Subscriber[] => subscribers.filter(({ over }) => !over);
  const least = (rooms: number[]): number => Math.max(0, Math.min(...rooms));
  const stragglers = openStragglers<Subscriber>(samples);
  const stopSampling = clock.every(timing.direct.slowReceiverMs, () => {
    const all = living().map((receiver) => ({ receiver, full: receiver.room <= 0, idleMs: receiver.idleMs }));
    stragglers.sample(all, clock.now())?.leaveBehind();
  });
  try {
    await pump(sourceOf(source), {
      room: () => least(living().map(({ room, rateLimit }) => Math.min(room, rateLimit?.room() ?? room))),
      send(bytes, flushed) {
        const to = living();
        const parts = to.some(({ store }) => !store)
          ? dataPublications(subject, offset, bytes, dataConnection.maxPayload)
          : [];
        offset += bytes.length;
        for (const subscriber of to) {
          subscriber.take(bytes.length);
          subscriber.store?.(bytes);
          subscriber.rateLimit?.take(bytes.length);
        }
        if (parts.length === 0) {
          flushed();
          return;
        }
        const written = dataConnection.write(parts, () => {
          flushed();
          for (const subscriber of to) subscriber.flushed(bytes.length);
        });
        if (!written) for (const subscriber of to) subscriber.lost();
      },
      failure() {
        const [first] = subscribers;
        if (living().length > 0 || !first?.over) return undefined;
        return ZpsendError.fromBody(first.over);
      },
      onChange(advance) {
        const ends = subscribers.flatMap((subscriber) => [
          subscriber.onChange(advance),
          subscriber.rateLimit?.onRoom(advance) ?? (() => {}),
        ]);
        return () => {
          for (const end of ends) end();
        };
      },
    });
  } finally {
    stopSampling();
  }
}
