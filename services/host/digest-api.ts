import { gather } from '../../lib/bus/rpc/request.ts';
import { type Served, serve } from '../../lib/bus/rpc/serve.ts';
import { type DigestVerb, subjects } from '../../lib/bus/subjects.ts';
import { timing } from '../../lib/time/timing.ts';
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
  const answers = answersOf(deps, digests);
  const others = isPrivate ? [] : endpointsOfHosts(deps, answers);
  return {
    endpoints: [...ownEndpoints(deps, digests, answers, isPrivate), ...others, ...siblingEndpoints(deps, digests)],
    stop: digests.stop,
  };
}

type Answers = ReturnType<typeof answersOf>;

/** What is answered, with what the siblings of this instance know. */
function answersOf(deps: AskedDeps, digests: Digests) {
  const { host, bus } = deps;
  async function status(asked: { digest?: string | undefined }) {
    const own = digests.status(asked.digest);
    if (asked.digest !== undefined && own.length > 0) return { host, digests: own };
    const answers = await gather(
      bus,
      subjects.each(subjects.digest(host, 'status')),
      asked,
      digestStatusSchema,
      timing.request.siblingsMs,
    );
    const theirs = answers.flatMap((answer) => answer.digests).filter(({ digest }) => !digests.has(digest));
    if (asked.digest !== undefined && theirs.length === 0) throw unknown(asked.digest, host);
    return { host, digests: [...own, ...theirs] };
  }
  async function abort({ digest }: { digest: string }) {
    const each = subjects.each(subjects.digest(host, 'abort'));
    const gone =
      digests.abort(digest) ||
      (await gather(bus, each, { digest }, digestAbortedSchema, timing.request.siblingsMs)).length > 0;
    if (!gone) throw unknown(digest, host);
    return { digest, aborted: true };
  }

  /** What another host asked for itself; of others it sees nothing. */
  async function statusFrom(asked: { digest?: string | undefined }, from: string) {
    const { digests: all } = await status(asked);
    const own = all.filter((digest) => digest.from === from);
    if (asked.digest !== undefined && own.length === 0) throw unknown(asked.digest, host);
    return { host, digests: own };
  }
  async function startFrom(asked: DigestStart, from: string) {
    await checkAskerOf(deps, from, asked);
    return digests.start(asked, from);
  }
  async function abortFrom(asked: { digest: string }, from: string) {
    await statusFrom(asked, from);
    return abort(asked);
  }
  return { status, abort, statusFrom, startFrom, abortFrom };
}

/** Each verb under its own name for the queue group, and under this instance's. */
function ownEndpoints(
  { host, instance, bus }: AskedDeps,
  digests: Digests,
  answers: Answers,
  isPrivate: boolean,
): Served[] {
  const fromText = (digest: string) => ({ digest });
  const both = (verb: DigestVerb, endpoint: Pick<Parameters<typeof serve>[1], 'request' | 'handle' | 'fromText'>) => {
    const subject = subjects.digest(host, verb);
    const own = serve(bus, {
      ...endpoint,
      name: `digest-${verb}-${instance}`,
      subject: subjects.instance(subject, instance),
    });
    return isPrivate ? [own] : [serve(bus, { ...endpoint, name: `digest-${verb}`, subject, queue: 'host' }), own];
  };
  return [
    ...both('start', {
      request: digestStartSchema,
      fromText: (snapshot) => ({ snapshot }),
      handle: async (asked) => digests.start(digestStartSchema.parse(asked)),
    }),
    ...both('status', {
      request: digestStatusRequestSchema,
      fromText,
      handle: async (asked) => answers.status(digestStatusRequestSchema.parse(asked)),
    }),
    ...both('abort', {
      request: digestRequestSchema,
      fromText,
      handle: async (asked) => answers.abort(digestRequestSchema.parse(asked)),
    }),
  ];
}

/** As other hosts ask: the server lets each publish under its own name only. */
function endpointsOfHosts({ host, bus }: AskedDeps, answers: Answers): Served[] {
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
  return [
    served('start', digestStartSchema, (asked, from) => answers.startFrom(digestStartSchema.parse(asked), from)),
    served('status', digestStatusRequestSchema, (asked, from) =>
      answers.statusFrom(digestStatusRequestSchema.parse(asked), from),
    ),
    served('abort', digestRequestSchema, (asked, from) => answers.abortFrom(digestRequestSchema.parse(asked), from)),
  ];
}

/** As siblings ask: each instance tells of itself. */
function siblingEndpoints({ host, bus }: AskedDeps, digests: Digests): Served[] {
  return [
    serve(bus, {
      name: 'digest-status-each',
      subject: subjects.each(subjects.digest(host, 'status')),
      request: digestStatusRequestSchema,
      handle: async ({ digest }) => ({ host, digests: digests.status(digest) }),
    }),
    serve(bus, {
      name: 'digest-abort-each',
      subject: subjects.each(subjects.digest(host, 'abort')),
      request: digestRequestSchema,
      handle: async ({ digest }) => (digests.abort(digest) ? { digest, aborted: true } : undefined),
    }),
  ];
}

const unknown = (digest: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_JOB', `no service on ${host} knows a digest ${digest}`, { digest });
