import type { Writable } from 'node:stream';
import { type Clock, systemClock } from '../../../time/clock.ts';
import type { PoolBuffer } from '../../data-connection/buffer-pool.ts';

/** The way into `zfs receive`: keeps what comes before it runs, and then writes as fast as it reads. */
export interface Input {
  /** The next bytes of the stream; written at the next flush. */
  push(bytes: Buffer, poolBuffer: PoolBuffer | undefined): void;
  /** Writes what was pushed, in one gathering write. */
  flush(): void;
  attach(sink: Writable): void;
  /** Closes the sink behind the last byte. */
  finish(): void;
  /** How long the sink has had nothing to take, in milliseconds. */
  readonly idleMs: number;
  /** Lets go of everything unwritten; nothing is written from here on. */
  cut(): void;
}

export interface InputOptions {
  readonly clock?: Clock;
  /** Whether bytes that have to wait should be copied out of their pool buffer. */
  underPressure(): boolean;
  /** So many more bytes were taken by the sink. */
  written(bytes: number): void;
}

/** What one read of the socket brought. */
interface Batch {
  readonly pieces: Buffer[];
  bytes: number;
  readonly poolBuffer: PoolBuffer | undefined;
}

/** How long a sink has had nothing to take. It counts from the first write. */
function openIdleTime(clock: Clock) {
  /** Written, and not taken yet. */
  let unsettled = 0;
  let idleMs = 0;
  /** Since when the sink has nothing to take. */
  let idleSince: number | undefined;
  return {
    busy(): void {
      unsettled += 1;
      if (idleSince !== undefined) idleMs += clock.now() - idleSince;
      idleSince = undefined;
    },
    idle(): void {
      unsettled -= 1;
      if (unsettled === 0) idleSince = clock.now();
    },
    get ms(): number {
      return idleMs + (idleSince === undefined ? 0 : clock.now() - idleSince);
    },
  };
}

/** Unbounded by itself: the credit window bounds what can be in it (I8). */
export function openInput({ underPressure, written, clock = systemClock }: InputOptions): Input {
  let sink: Writable | undefined;
  let gone = false;
  let filling: Batch | undefined;
  let waiting: Batch[] = [];
  const idleTime = openIdleTime(clock);

  function write(to: Writable, batch: Batch): void {
    idleTime.busy();
    const settled = (error?: Error | null): void => {
      idleTime.idle();
      batch.poolBuffer?.release();
      // a sink that broke takes nothing more; its process reports why
      if (error) gone = true;
      else if (!gone) written(batch.bytes);
    };
    const last = batch.pieces.length - 1;
    to.cork();
    batch.pieces.forEach((piece, index) => {
      if (index === last) to.write(piece, settled);
      else to.write(piece);
    });
    to.uncork();
  }

  function flush(): void {
    const batch = filling;
    filling = undefined;
    if (!batch) return;
    if (gone || sink?.destroyed) batch.poolBuffer?.release();
    else if (sink) write(sink, batch);
    else waiting.push(batch);
  }

  return {
    push(bytes, poolBuffer) {
      if (gone) return;
      const keep = poolBuffer !== undefined && !underPressure();
      if (keep && filling === undefined) poolBuffer.retain();
      filling ??= { pieces: [], bytes: 0, poolBuffer: keep ? poolBuffer : undefined };
      filling.pieces.push(filling.poolBuffer ? bytes : Buffer.from(bytes));
      filling.bytes += bytes.length;
    },
    flush,
    attach(to) {
      sink = to;
      to.on('error', () => {
        gone = true;
      });
      const before = waiting;
      waiting = [];
      for (const batch of before) write(to, batch);
    },
    get idleMs() {
      return idleTime.ms;
    },
    finish() {
      flush();
      sink?.end();
    },
    cut() {
      gone = true;
      filling?.poolBuffer?.release();
      filling = undefined;
      for (const batch of waiting) batch.poolBuffer?.release();
      waiting = [];
    },
  };
}
