import type { Served } from '../../lib/bus/rpc/serve.ts';
import { askInstances, serveVerb } from '../../lib/bus/rpc/serve-verbs.ts';
import { type DigestVerb, subjects } from '../../lib/bus/subjects.ts';
import {
  type DigestStart,
  digestAbortedSchema,
  digestRequestSchema,
  digestStartSchema,
  digestStatusRequestSchema,
  digestStatusSchema,
} from '../../schemas/digest.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type AskedDeps, checkAskerOf } from './ask-rules.ts';
import { type Digests, openDigests } from './running-digests.ts';

/** Serves `zfs.<host>.digest.*`: reads the contents of snapshots, to compare them with another host's. */
export function serveDigests(deps: AskedDeps, isPrivate: boolean): { endpoints: Served[]; stop(): Promise<void> } {
  const digests = openDigests(deps);
  return { endpoints: endpointsOf(deps, digests, isPrivate), stop: digests.stop };
}

function endpointsOf(deps: AskedDeps, digests: Digests, isPrivate: boolean): Served[] {
  const { host, bus, instance } = deps;
  const answers = answersOf(deps, digests);
  const service = { bus, queue: 'host', instance, isPrivate };
  const fromText = (digest: string) => ({ digest });
  const named = (verb: DigestVerb) => ({ name: `digest-${verb}`, subject: subjects.digest(host, verb) });
  const from = <A>(verb: DigestVerb, handle: (asked: A, from: string) => Promise<object>) => ({
    subject: subjects.digestFrom(host, verb, '*'),
    handle,
  });
  return [
    ...serveVerb(service, {
      ...named('start'),
      request: digestStartSchema,
      fromText: (snapshot) => ({ snapshot }),
      handle: async (asked) => digests.start(asked),
      from: from('start', answers.startFrom),
    }),
    ...serveVerb(service, {
      ...named('status'),
      request: digestStatusRequestSchema,
      fromText,
      handle: answers.status,
      from: from('status', answers.statusFrom),
      each: async ({ digest }) => ({ host, digests: digests.status(digest) }),
    }),
    ...serveVerb(service, {
      ...named('abort'),
      request: digestRequestSchema,
      fromText,
      handle: answers.abort,
      from: from('abort', answers.abortFrom),
      each: async ({ digest }) => (digests.abort(digest) ? { digest, aborted: true } : undefined),
    }),
  ];
}

/** The reply, with the digests of this instance's siblings. */
function answersOf(deps: AskedDeps, digests: Digests) {
  const { host, bus } = deps;
  async function status(asked: { digest?: string | undefined }) {
    const own = digests.status(asked.digest);
    if (asked.digest !== undefined && own.length > 0) return { host, digests: own };
    const answers = await askInstances(bus, subjects.digest(host, 'status'), asked, digestStatusSchema);
    const theirs = answers.flatMap((answer) => answer.digests).filter(({ digest }) => !digests.has(digest));
    if (asked.digest !== undefined && theirs.length === 0) throw unknown(asked.digest, host);
    return { host, digests: [...own, ...theirs] };
  }
  async function abort({ digest }: { digest: string }) {
    const isKnown = async () =>
      (await askInstances(bus, subjects.digest(host, 'abort'), { digest }, digestAbortedSchema)).length > 0;
    if (!digests.abort(digest) && !(await isKnown())) throw unknown(digest, host);
    return { digest, aborted: true };
  }

  /** The digests that another host requested itself; it sees no others. */
  async function statusFrom(asked: { digest?: string | undefined }, from: string) {
    const { digests: all } = await status(asked);
    const own = all.filter((digest) => digest.from === from);
    if (asked.digest !== undefined && own.length === 0) throw unknown(asked.digest, host);
    return { host, digests: own };
  }
  async function startFrom(asked: DigestStart, from: string) {
    await checkAskerOf({ ...deps, rules: deps.settings.now.config }, from, asked);
    return digests.start(asked, from);
  }
  async function abortFrom(asked: { digest: string }, from: string) {
    await statusFrom(asked, from);
    return abort(asked);
  }
  return { status, abort, statusFrom, startFrom, abortFrom };
}

const unknown = (digest: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_JOB', `no service on ${host} knows a digest ${digest}`, { digest });
