import type { Readable } from 'node:stream';
import { ZpsendError } from '../../../../schemas/errors.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import { type ByteSource, sourceOf } from '../byte-source.ts';
import type { Outlet } from '../channel.ts';
import { pump } from '../pump.ts';
import { openStragglers } from '../slow-receivers.ts';
import { dataPublications } from './publish.ts';

export interface Spout {
  /** Where the bytes are published, once for all outlets that do not take them themselves. */
  readonly subject: string;
  readonly outlets: readonly Outlet[];
}

/** How often it is looked who holds up whom, in milliseconds; so many looks are remembered. */
const lookMs = 250;
const looks = 40;

/**
 * Sends all of `source` once, to every outlet from its first byte on, no faster than the slowest of them takes it. One that fails
 * is left out, and so is one for which the others wait most of the time; nothing is sent any more when none is left.
 * @throws ZpsendError when the source breaks off, or with the last outlet's failure
 */
export async function pour(dataConnection: DataConnection, spout: Spout, source: ByteSource | Readable): Promise<void> {
  const { subject, outlets } = spout;
  let offset = 0;
  const living = (): Outlet[] => outlets.filter(({ over }) => !over);
  const least = (rooms: number[]): number => Math.max(0, Math.min(...rooms));
  const stragglers = openStragglers<Outlet>(looks);
  const looking = setInterval(() => {
    const all = living().map((receiver) => ({ receiver, full: receiver.room <= 0, idleMs: receiver.idleMs }));
    stragglers.look(all, performance.now())?.leaveBehind();
  }, lookMs);
  try {
    await pump(sourceOf(source), {
      room: () => least(living().map(({ room, pace }) => Math.min(room, pace?.room() ?? room))),
      send(bytes, flushed) {
        const to = living();
        const parts = to.some(({ keep }) => !keep)
          ? dataPublications(subject, offset, bytes, dataConnection.maxPayload)
          : [];
        offset += bytes.length;
        for (const outlet of to) {
          outlet.take(bytes.length);
          outlet.keep?.(bytes);
          outlet.pace?.take(bytes.length);
        }
        if (parts.length === 0) {
          flushed();
          return;
        }
        const written = dataConnection.write(parts, () => {
          flushed();
          for (const outlet of to) outlet.flushed(bytes.length);
        });
        if (!written) for (const outlet of to) outlet.lost();
      },
      failure() {
        const [first] = outlets;
        if (living().length > 0 || !first?.over) return undefined;
        return ZpsendError.fromBody(first.over);
      },
      onChange(advance) {
        const ends = outlets.flatMap((outlet) => [
          outlet.onChange(advance),
          outlet.pace?.onRoom(advance) ?? (() => {}),
        ]);
        return () => {
          for (const end of ends) end();
        };
      },
    });
  } finally {
    clearInterval(looking);
  }
}
