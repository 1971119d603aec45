import type { CompressionMode } from '../../../schemas/transfer.ts';

/** Bytes of one transfer: of the stream, and what became of them on the wire. */
interface Sent {
  readonly taken: number;
  readonly sent: number;
}

/** How the streams of one job go over the wire, and what that has saved. */
export interface JobCompression {
  readonly mode: CompressionMode;
  /** Bytes less on the wire than in the streams; undefined as long as no receiver has taken zstd. */
  readonly saved: number | undefined;
  /** Counts a transfer in; called when it is over, the function returned keeps what it has saved. */
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
