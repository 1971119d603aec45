import { type Clock, systemClock } from '../../lib/time/clock.ts';
import { ContentDigest } from '../../lib/verify/content-digest.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Digest, DigestStart } from '../../schemas/digest.ts';
import { type ErrorBody, ZpsendError } from '../../schemas/errors.ts';

/** The reading of one snapshot's contents, under way or over. */
export interface RunningDigest {
  readonly over: Promise<void>;
  readonly isOver: boolean;
  status(): Digest;
  /** Ends it with this error; without effect on one that is over. */
  abort(error: ErrorBody): void;
}

/** Reads a snapshot through `zfs send`; nothing is held, and nothing of it is kept but the digest. */
export function startDigest(
  zfs: Zfs,
  id: string,
  { snapshot, raw = false }: DigestStart,
  { from, clock = systemClock }: { readonly from?: string | undefined; readonly clock?: Clock } = {},
): RunningDigest {
  const began = clock.now();
  const sending = zfs.content(snapshot, raw);
  const digest = new ContentDigest();
  let aborted: ErrorBody | undefined;
  const now: Digest = {
    digest: id,
    snapshot,
    raw,
    ...(from !== undefined && { from }),
    state: 'running',
    bytes: 0,
    seconds: 0,
  };
  const seconds = () => (clock.now() - began) / 1000;

  async function read(): Promise<void> {
    try {
      for await (const chunk of sending.stdout) {
        digest.push(chunk);
        now.bytes += chunk.length;
      }
    } catch (error) {
      sending.kill();
      throw error;
    }
    // a stream is whole only after exit 0, and why there is none is in the exit
    await sending.done;
    now.result = digest.result();
  }
  const over = read().then(
    () => {
      now.state = 'done';
      now.seconds = seconds();
    },
    (thrown) => {
      now.error = aborted ?? ZpsendError.from(thrown).toBody();
      now.state = 'failed';
      now.seconds = seconds();
    },
  );
  return {
    over,
    get isOver() {
      return now.state !== 'running';
    },
    status: () => (now.state === 'running' ? { ...now, seconds: seconds() } : now),
    abort(error) {
      if (now.state !== 'running' || aborted) return;
      aborted = error;
      sending.kill();
    },
  };
}
