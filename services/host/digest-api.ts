import { gather } from '../../lib/bus/rpc/request.ts';
import { type Served, serve } from '../../lib/bus/rpc/serve.ts';
import { type DigestVerb, subjects } from '../../lib/bus/subjects.ts';
import {
  type Digest,
  type DigestStart,
  digestAbortedSchema,
  digestRequestSchema,
  digestStartSchema,
  digestStatusRequestSchema,
  digestStatusSchema,
} from '../../schemas/digest.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type AskedDeps, checkAskerOf } from './ask-rules.ts';
import { type RunningDigest, startDigest } from './digest.ts';
import { newId } from './ids.ts';

const siblingsMs = 300;
/** Snapshots read at once by one instance: each is as much work for the disks as a send. */
const atOnce = 2;
/** Of these for other hosts: a place stays for whoever orders this host itself. */
const atOnceForHosts = 1;
/** How long what became of one that has ended is told, in milliseconds; and of how many. */
const rememberedMs = 600_000;
const rememberedDigests = 100;

/** Serves `zfs.<host>.digest.*`: reads the contents of snapshots, to compare them with another host's. */
export function serveDigests(deps: AskedDeps, isPrivate: boolean): { endpoints: Served[]; stop(): Promise<void> } {
  const { host, instance, bus, zfs, log } = deps;
  const known = new Map<string, { digest: RunningDigest; endedAt?: number }>();
  const running = () => [...known.values()].filter(({ digest }) => !digest.isOver);
  let stopping = false;

  function forget(): void {
    const now = performance.now();
    for (const [id, { endedAt }] of known) {
      const isOld = endedAt !== undefined && (now - endedAt > rememberedMs || known.size > rememberedDigests);
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
    const digest = startDigest(zfs, id, asked, from);
    const entry: { digest: RunningDigest; endedAt?: number } = { digest };
    known.set(id, entry);
    log.info('digest.started', `reading ${asked.snapshot} to tell its digest`, { snapshot: asked.snapshot });
    void digest.over.then(() => {
      entry.endedAt = performance.now();
      const { state, bytes, error } = digest.status();
      if (state === 'done')
        log.info('digest.done', `read ${asked.snapshot}: ${bytes} bytes`, { snapshot: asked.snapshot });
      else
        log.warn('digest.failed', `reading ${asked.snapshot} failed: ${error?.message}`, {
          snapshot: asked.snapshot,
          code: error?.code,
        });
    });
    return { digest: id, host, instance };
  }

  const here = (id: string | undefined): Digest[] => {
    forget();
    return [...known].filter(([each]) => id === undefined || each === id).map(([, { digest }]) => digest.status());
  };
  const abortHere = (id: string): boolean => {
    const found = known.get(id)?.digest;
    if (!found || found.isOver) return false;
    found.abort(new ZpsendError('ABORTED', `digest ${id} was aborted by request on ${host}`).toBody());
    return true;
  };

  const statusSubject = subjects.digest(host, 'status');
  const abortSubject = subjects.digest(host, 'abort');
  async function status(asked: { digest?: string | undefined }) {
    const own = here(asked.digest);
    if (asked.digest !== undefined && own.length > 0) return { host, digests: own };
    const answers = await gather(bus, subjects.each(statusSubject), asked, digestStatusSchema, siblingsMs);
    const theirs = answers.flatMap(({ digests }) => digests).filter(({ digest }) => !known.has(digest));
    if (asked.digest !== undefined && theirs.length === 0) throw unknown(asked.digest, host);
    return { host, digests: [...own, ...theirs] };
  }
  async function abort({ digest }: { digest: string }) {
    const each = subjects.each(abortSubject);
    const gone = abortHere(digest) || (await gather(bus, each, { digest }, digestAbortedSchema, siblingsMs)).length > 0;
    if (!gone) throw unknown(digest, host);
    return { digest, aborted: true };
  }

  /** What another host asked for itself; of others it sees nothing. */
  async function statusFrom(asked: { digest?: string | undefined }, from: string) {
    const { digests } = await status(asked);
    const own = digests.filter((digest) => digest.from === from);
    if (asked.digest !== undefined && own.length === 0) throw unknown(asked.digest, host);
    return { host, digests: own };
  }
  async function startFrom(asked: DigestStart, from: string) {
    await checkAskerOf(deps, from, asked);
    return start(asked, from);
  }
  async function abortFrom(asked: { digest: string }, from: string) {
    await statusFrom(asked, from);
    return abort(asked);
  }
  /** As other hosts ask: the server lets each publish under its own name only. */
  const served = (
    verb: DigestVerb,
    request: Parameters<typeof serve>[1]['request'],
    handle: (asked: unknown, from: string) => Promise<object>,
  ): Served =>
    serve(bus, {
      name: `digest-${verb}-from`,
      subject: subjects.digestFrom(host, verb, '*'),
      queue: 'host',
      request,
      handle: (asked, subject) => handle(asked, subject.split('.').at(-1) ?? ''),
    });
  const fromText = (digest: string) => ({ digest });
  /** Each verb under its own name for the queue group, and under this instance's. */
  const both = (verb: DigestVerb, endpoint: Pick<Parameters<typeof serve>[1], 'request' | 'handle' | 'fromText'>) => {
    const subject = subjects.digest(host, verb);
    const own = serve(bus, {
      ...endpoint,
      name: `digest-${verb}-${instance}`,
      subject: subjects.instance(subject, instance),
    });
    return isPrivate ? [own] : [serve(bus, { ...endpoint, name: `digest-${verb}`, subject, queue: 'host' }), own];
  };
  const endpoints = [
    ...both('start', {
      request: digestStartSchema,
      fromText: (snapshot) => ({ snapshot }),
      handle: async (asked) => start(digestStartSchema.parse(asked)),
    }),
    ...both('status', {
      request: digestStatusRequestSchema,
      fromText,
      handle: async (asked) => status(digestStatusRequestSchema.parse(asked)),
    }),
    ...both('abort', {
      request: digestRequestSchema,
      fromText,
      handle: async (asked) => abort(digestRequestSchema.parse(asked)),
    }),
    ...(isPrivate
      ? []
      : [
          served('start', digestStartSchema, (asked, from) => startFrom(digestStartSchema.parse(asked), from)),
          served('status', digestStatusRequestSchema, (asked, from) =>
            statusFrom(digestStatusRequestSchema.parse(asked), from),
          ),
          served('abort', digestRequestSchema, (asked, from) => abortFrom(digestRequestSchema.parse(asked), from)),
        ]),
    serve(bus, {
      name: 'digest-status-each',
      subject: subjects.each(statusSubject),
      request: digestStatusRequestSchema,
      handle: async ({ digest }) => ({ host, digests: here(digest) }),
    }),
    serve(bus, {
      name: 'digest-abort-each',
      subject: subjects.each(abortSubject),
      request: digestRequestSchema,
      handle: async ({ digest }) => (abortHere(digest) ? { digest, aborted: true } : undefined),
    }),
  ];

  return {
    endpoints,
    async stop() {
      stopping = true;
      const error = new ZpsendError('ABORTED', `the service on ${host} was stopped`).toBody();
      const ending = running().map(({ digest }) => digest);
      for (const digest of ending) digest.abort(error);
      await Promise.all(ending.map(({ over }) => over));
    },
  };
}

const unknown = (digest: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_JOB', `no service on ${host} knows a digest ${digest}`, { digest });
