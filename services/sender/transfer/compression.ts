import type { CompressionMode } from '../../../schemas/transfer.ts';

/** Bytes of one transfer: of the stream, and of its compressed form. */
interface Sent {
  readonly taken: number;
  readonly sent: number;
}

/** The compression of one job's streams, and its savings. */
export interface JobCompression {
  readonly mode: CompressionMode;
  /** Bytes saved; undefined until a receiver has accepted zstd. */
  readonly saved: number | undefined;
  /** Counts a transfer. @returns a function for its end, which keeps its savings */
  follow(transfer: Sent): () => void;
}

export function openJobCompression(mode: CompressionMode): JobCompression {
  const running = new Set<Sent>();
  let before: number | undefined;
  const savedBy = ({ taken, sent }: Sent): number => taken - sent;
  return {
    mode,
    get saved() {
      return before === undefined ? undefined : [...running].reduce((sum, one) => sum + savedBy(one), before);
    },
    follow(transfer) {
      before ??= 0;
      running.add(transfer);
      return () => {
        if (running.delete(transfer)) before = (before ?? 0) + savedBy(transfer);
      };
    },
  };
}
