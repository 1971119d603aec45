import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { askerOf } from '../../../lib/bus/rpc/asker.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Read } from '../../../lib/verify/contents.ts';
import {
  type Digest,
  type DigestStart,
  digestAbortedSchema,
  digestStartedSchema,
  digestStatusSchema,
} from '../../../schemas/digest.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Side } from './sides.ts';

/** Milliseconds before the first status request, and the most between two: a small snapshot is done soon. */
const [firstMs, lastMs] = [50, 1000];
/** Requests in a row that may fail: the connection may be lost and return. */
const maxFailures = 5;

const unanswered = ['UNREACHABLE', 'TIMEOUT'];

/**
 * Starts the reading of a snapshot on one side, and waits for its end.
 * @param signal aborts the reading
 * @param progress gets each status, and once that the host is busy
 * @returns the digest, or an error; throws nothing
 */
export async function readSnapshot(
  bus: Bus,
  side: Side,
  what: DigestStart,
  signal: AbortSignal,
  progress: { onDigest(digest: Digest): void; onBusy(message: string): void },
): Promise<Read> {
  try {
    const { digest: id, instance } = await start(bus, side, what, signal, progress.onBusy);
    // only the reading instance knows its status
    const asker = askerTo(bus, side.host);
    const own = (verb: 'status' | 'abort') =>
      asker === undefined
        ? subjects.instance(subjects.digest(side.host, verb), instance)
        : subjects.digestFrom(side.host, verb, asker);
    const end = () => request(bus, own('abort'), { digest: id }, digestAbortedSchema).catch(() => undefined);
    for (let failures = 0, wait = firstMs; ; wait = Math.min(wait * 1.5, lastMs)) {
      if (!(await slept(wait, signal))) {
        await end();
        throw aborted();
      }
      const digest = await request(bus, own('status'), { digest: id }, digestStatusSchema).then(
        ({ digests }) => digests[0],
        (error: ZpsendError) => {
          failures += 1;
          if (!unanswered.includes(error.code) || failures >= maxFailures) throw error;
        },
      );
      if (!digest) continue;
      failures = 0;
      progress.onDigest(digest);
      if (digest.error) return { error: digest.error };
      if (digest.result) return { digest: digest.result };
    }
  } catch (thrown) {
    return { error: ZpsendError.from(thrown).toBody() };
  }
}

/** The host of this NATS user, if it asks another host; its own host needs no name. */
function askerTo(bus: Bus, host: string): string | undefined {
  const asker = askerOf(bus);
  return asker === host ? undefined : asker;
}

const aborted = (): ZpsendError => new ZpsendError('ABORTED', 'the comparison of contents was interrupted');

/** @returns false if aborted meanwhile */
const slept = (ms: number, signal: AbortSignal): Promise<boolean> => sleep(ms, true, { signal }).catch(() => false);

async function start(
  bus: Bus,
  { host, at, peer }: Side,
  what: DigestStart,
  signal: AbortSignal,
  onBusy: (message: string) => void,
) {
  for (let tries = 0; ; tries += 1) {
    if (signal.aborted) throw aborted();
    try {
      const asker = askerTo(bus, host);
      const subject =
        asker === undefined ? at(subjects.digest(host, 'start')) : subjects.digestFrom(host, 'start', asker);
      return await request(bus, subject, what, digestStartedSchema, undefined, peer);
    } catch (error) {
      if (!(error instanceof ZpsendError) || error.code !== 'BUSY') throw error;
      if (tries === 0) onBusy(error.message);
    }
    await slept(timing.cli.digestBusyMs, signal);
  }
}
