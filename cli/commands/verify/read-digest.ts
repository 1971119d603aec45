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

/** The first look comes soon, for what is small, and the others ever later up to this, in milliseconds. */
const [soonMs, lateMs] = [50, 1000];
/** Questions in a row that may go unanswered: the connection may be lost and come back. */
const mostFailures = 5;

const cameToNothing = ['UNREACHABLE', 'TIMEOUT'];

/**
 * Has one side read a snapshot, and waits for it as long as it takes.
 * @param signal ends the reading there
 * @param told hears how far it is, and once that the host has no room yet
 * @returns its digest, or why there is none; nothing is thrown
 */
export async function readSnapshot(
  bus: Bus,
  side: Side,
  what: DigestStart,
  signal: AbortSignal,
  told: { seen(digest: Digest): void; busy(message: string): void },
): Promise<Read> {
  try {
    const { digest: id, instance } = await start(bus, side, what, signal, told.busy);
    // the instance that reads is the one that knows; it is silent when it is gone
    const asker = askerTo(bus, side.host);
    const own = (verb: 'status' | 'abort') =>
      asker === undefined
        ? subjects.instance(subjects.digest(side.host, verb), instance)
        : subjects.digestFrom(side.host, verb, asker);
    const end = () => request(bus, own('abort'), { digest: id }, digestAbortedSchema).catch(() => undefined);
    for (let failures = 0, wait = soonMs; ; wait = Math.min(wait * 1.5, lateMs)) {
      if (!(await slept(wait, signal))) {
        await end();
        throw aborted();
      }
      const digest = await request(bus, own('status'), { digest: id }, digestStatusSchema).then(
        ({ digests }) => digests[0],
        (error: ZpsendError) => {
          failures += 1;
          if (!cameToNothing.includes(error.code) || failures >= mostFailures) throw error;
        },
      );
      if (!digest) continue;
      failures = 0;
      told.seen(digest);
      if (digest.error) return { error: digest.error };
      if (digest.result) return { digest: digest.result };
    }
  } catch (thrown) {
    return { error: ZpsendError.from(thrown).toBody() };
  }
}

/** Whose user asks, where it asks another host: of its own host it may ask everything. */
function askerTo(bus: Bus, host: string): string | undefined {
  const asker = askerOf(bus);
  return asker === host ? undefined : asker;
}

const aborted = (): ZpsendError => new ZpsendError('ABORTED', 'the reading was ended before its end');

/** Waits; false when told to end meanwhile. */
const slept = (ms: number, signal: AbortSignal): Promise<boolean> => sleep(ms, true, { signal }).catch(() => false);

async function start(
  bus: Bus,
  { host, at, peer }: Side,
  what: DigestStart,
  signal: AbortSignal,
  busy: (message: string) => void,
) {
  for (let asked = 0; ; asked += 1) {
    if (signal.aborted) throw aborted();
    try {
      const asker = askerTo(bus, host);
      const subject =
        asker === undefined ? at(subjects.digest(host, 'start')) : subjects.digestFrom(host, 'start', asker);
      return await request(bus, subject, what, digestStartedSchema, undefined, peer);
    } catch (error) {
      if (!(error instanceof ZpsendError) || error.code !== 'BUSY') throw error;
      if (asked === 0) busy(error.message);
    }
    await slept(timing.cli.digestBusyMs, signal);
  }
}
