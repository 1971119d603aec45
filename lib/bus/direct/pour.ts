import type { Readable } from 'node:stream';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { BulkConnection } from './bulk-connection.ts';
import { dataPublications } from './outbound.ts';
import type { Pace } from './pace.ts';
import { pump } from './pump.ts';
import { type ByteSource, sourceOf } from './source.ts';
import { openStragglers } from './stragglers.ts';

/** One receiver of a stream, as far as it matters to whoever pours it out. */
export interface Outlet {
  /** Bytes that may be sent now. */
  readonly room: number;
  /** How fast it may go there. */
  readonly pace: Pace | undefined;
  /** How long its `zfs receive` has waited for bytes, in milliseconds, as far as it has told. */
  readonly idleMs: number;
  /** Why nothing more goes there. */
  readonly over: ErrorBody | undefined;
  /** So many bytes were handed to the connection; and so many of them were written. */
  take(bytes: number): void;
  flushed(bytes: number): void;
  /** The connection did not take them. */
  lost(): void;
  /** It held the others up for too long, and gets nothing more. */
  leaveBehind(): void;
  /** Tells when there may be more room, or none for good. The function returned ends it. */
  onChange(advance: () => void): () => void;
}

export interface Spout {
  /** Where the bytes are published, once for all outlets. */
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
export async function pour(bulk: BulkConnection, spout: Spout, source: ByteSource | Readable): Promise<void> {
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
        const parts = dataPublications(subject, offset, bytes);
        offset += bytes.length;
        for (const outlet of to) {
          outlet.take(bytes.length);
          outlet.pace?.take(bytes.length);
        }
        const written = bulk.write(parts, () => {
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
