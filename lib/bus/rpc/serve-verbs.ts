import type { z } from 'zod';
import { timing } from '../../time/timing.ts';
import type { Bus } from '../connection/connect.ts';
import { subjects } from '../subjects.ts';
import { gather } from './request.ts';
import { type Endpoint, type Served, serve } from './serve.ts';

/** A service that shares its requests with the other instances of the host's service, its siblings. */
export interface VerbService {
  readonly bus: Bus;
  /** The queue group of the instances. */
  readonly queue: string;
  /** With an id, each verb is also served on a subject of this instance. */
  readonly instance?: string;
  /** Serve only the subjects of this instance and of siblings. */
  readonly isPrivate?: boolean;
}

type Answer = Promise<object | undefined> | AsyncIterable<object>;

/** One verb: its endpoints are for different askers, and share name, request and limits. */
export interface Verb<S extends z.ZodType>
  extends Pick<Endpoint<S>, 'name' | 'subject' | 'request' | 'fromText' | 'atOnce' | 'identifies'> {
  /** Answers for the service, in one instance of the queue group. */
  readonly handle?: (asked: z.output<S>) => Answer;
  /** Answers a sibling, in every instance, for that instance. */
  readonly each?: (asked: z.output<S>) => Answer;
  /** Answers another host, on a subject that ends with its name. */
  readonly from?: {
    /** Ends with `.*`: the server lets each host publish only under its own name. */
    readonly subject: string;
    readonly handle: (asked: z.output<S>, host: string, subject: string) => Answer;
  };
}

/** Serves one verb on all its subjects. Each subject has a separate limit of concurrent requests. */
export function serveVerb<S extends z.ZodType>(service: VerbService, verb: Verb<S>): Served[] {
  const { bus, queue, instance, isPrivate = false } = service;
  const { handle, each, from, ...common } = verb;
  const { name, subject } = common;
  const endpoints: Endpoint<S>[] = [];
  if (handle && !isPrivate) endpoints.push({ ...common, queue, handle });
  if (handle && instance !== undefined) {
    const own = { name: `${name}-${instance}`, subject: subjects.instance(subject, instance) };
    endpoints.push({ ...common, ...own, handle });
  }
  if (from && !isPrivate) {
    const host = (on: string): string => on.split('.').at(-1) ?? '';
    const answer = (asked: z.output<S>, on: string): Answer => from.handle(asked, host(on), on);
    endpoints.push({ ...common, name: `${name}-from`, subject: from.subject, queue, handle: answer });
  }
  if (each) endpoints.push({ ...common, name: `${name}-each`, subject: subjects.each(subject), handle: each });
  return endpoints.map((endpoint) => serve(bus, endpoint));
}

/**
 * Asks every instance of a service, including this one, for its own answer.
 * @throws ZpsendError as gather
 */
export const askInstances = <S extends z.ZodType>(
  bus: Bus,
  subject: string,
  asked: object,
  reply: S,
): Promise<z.output<S>[]> => gather(bus, subjects.each(subject), asked, reply, timing.request.siblingsMs);
