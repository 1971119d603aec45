import { timing } from '../../lib/time/timing.ts';
import type { Digest, DigestStart } from '../../schemas/digest.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { AskedDeps } from './ask-rules.ts';
import { type RunningDigest, startDigest } from './digest.ts';
import { newId } from './ids.ts';

/** Snapshots read at once by one instance: each is as much work for the disks as a send. */
const atOnce = 2;
/** Of these for other hosts: a place stays for this host's own administrators. */
const atOnceForHosts = 1;
/** How many digests that have ended keep their result. */
const rememberedDigests = 100;

/** The digests that this process reads, or has read lately. */
export interface Digests {
  /** @param from the other host that asked @throws ZpsendError BUSY */
  start(asked: DigestStart, from?: string): { digest: string; host: string; instance: string };
  has(id: string): boolean;
  /** Of one, or of all. */
  status(id: string | undefined): Digest[];
  /** False where no such digest runs here. */
  abort(id: string): boolean;
  stop(): Promise<void>;
}

export function openDigests({ host, instance, zfs, log, clock }: AskedDeps): Digests {
  const known = new Map<string, { digest: RunningDigest; endedAt?: number }>();
  const running = () => [...known.values()].filter(({ digest }) => !digest.isOver);
  let stopping = false;

  function forget(): void {
    const now = clock.now();
    for (const [id, { endedAt }] of known) {
      const isOld =
        endedAt !== undefined && (now - endedAt > timing.service.digestKeptMs || known.size > rememberedDigests);
      if (isOld) known.delete(id);
    }
  }

  function start(asked: DigestStart, from?: string) {
    if (stopping) throw new ZpsendError('BUSY', `the service on ${host} is stopping`);
    const ofHosts = running().filter(({ digest }) => digest.status().from !== undefined).length;
    if (from !== undefined && ofHosts >= atOnceForHosts) {
      throw new ZpsendError(
        'BUSY',
        `${host} reads ${ofHosts} snapshot for another host already, and that is its limit`,
      );
    }
    if (running().length >= atOnce) {
      throw new ZpsendError('BUSY', `${host} reads ${atOnce} snapshots already, and that is its limit`);
    }
    forget();
    const id = newId();
    const digest = startDigest(zfs, id, asked, { from, clock });
    const entry: { digest: RunningDigest; endedAt?: number } = { digest };
    known.set(id, entry);
    log.info('digest.started', `reading ${asked.snapshot} for its digest`, { snapshot: asked.snapshot });
    void digest.over.then(() => {
      entry.endedAt = clock.now();
      logEnd(log, asked.snapshot, digest.status());
    });
    return { digest: id, host, instance };
  }

  const status = (id: string | undefined): Digest[] => {
    forget();
    return [...known].filter(([each]) => id === undefined || each === id).map(([, { digest }]) => digest.status());
  };
  const abort = (id: string): boolean => {
    const found = known.get(id)?.digest;
    if (!found || found.isOver) return false;
    found.abort(new ZpsendError('ABORTED', `digest ${id} was aborted by request on ${host}`).toBody());
    return true;
  };

  return {
    start,
    has: (id) => known.has(id),
    status,
    abort,
    async stop() {
      stopping = true;
      const error = new ZpsendError('ABORTED', `the service on ${host} was stopped`).toBody();
      const ending = running().map(({ digest }) => digest);
      for (const digest of ending) digest.abort(error);
      await Promise.all(ending.map(({ over }) => over));
    },
  };
}

function logEnd(log: AskedDeps['log'], snapshot: string, { state, bytes, error }: Digest): void {
  if (state === 'done') log.info('digest.done', `read ${snapshot}: ${bytes} bytes`, { snapshot });
  else log.warn('digest.failed', `reading ${snapshot} failed: ${error?.message}`, { snapshot, code: error?.code });
}
