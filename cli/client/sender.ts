import type { z } from 'zod';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { joinPlan } from '../../lib/bus/rpc/plan-parts.ts';
import { request, requestMany } from '../../lib/bus/rpc/request.ts';
import { type SenderVerb, subjects } from '../../lib/bus/subjects.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type PlanReply, planPartSchema } from '../../schemas/plan.ts';
import type { SendRequest } from '../../schemas/request.ts';
import { thisHost } from '../args/this-host.ts';
import type { Cli } from '../context.ts';
import { type PrivateSender, startPrivate } from './private-sender.ts';

/** A sender of one host: its service, or a private sender of this command. */
export interface SenderRoute {
  readonly host: string;
  /** @param ms milliseconds to wait for the answer */
  ask<S extends z.ZodType>(verb: SenderVerb, body: object, reply: S, ms?: number): Promise<z.output<S>>;
  /** The plan for one target, in one or more messages. @param ms milliseconds to wait for each message */
  plan(body: SendRequest, ms: number): Promise<PlanReply>;
  /** Aborted if the private sender ends too early. */
  readonly lost: AbortSignal;
}

/**
 * Uses the sender service of `host`. If none answers for this host, runs a private sender while `use` runs, so that cron
 * needs no service.
 * @param privateAllowed whether a private sender may serve
 * @throws ZpsendError UNREACHABLE if no sender answers for another host, or the private one does not start
 */
export async function withSender<T>(
  cli: Cli,
  bus: Bus,
  host: string,
  use: (route: SenderRoute) => Promise<T>,
  { privateAllowed = true } = {},
): Promise<T> {
  const lost = new AbortController();
  let own: Promise<PrivateSender> | undefined;
  const startOwn = async () => {
    if (host !== thisHost(cli.env) || !privateAllowed) throw noSender(host, privateAllowed);
    const started = await startPrivate(cli);
    void started.ended.then(() => lost.abort());
    return started;
  };
  /** Asks the service, or the private sender if no service answers. */
  async function ask<T>(verb: SenderVerb, through: (subject: string) => Promise<T>): Promise<T> {
    const subject = subjects.send(host, verb);
    if (own !== undefined) return through(subjects.instance(subject, (await own).instance));
    try {
      return await through(subject);
    } catch (error) {
      // a status or an abort is about a job of a sender that ran before
      if (!isUnanswered(error, subject) || verb === 'status' || verb === 'abort') throw error;
      // requests for several targets share one private sender
      own ??= startOwn();
      return ask(verb, through);
    }
  }
  const route: SenderRoute = {
    host,
    lost: lost.signal,
    ask: (verb, body, reply, ms) => ask(verb, (subject) => request(bus, subject, body, reply, ms)),
    plan: (body, ms) =>
      ask('plan', async (subject) => joinPlan(await requestMany(bus, subject, body, planPartSchema, ms))),
  };
  try {
    return await use(route);
  } finally {
    await own?.then((started) => started.stop()).catch(() => {});
  }
}

/** The sender may answer with this code about a target. */
const isUnanswered = (error: unknown, subject: string): boolean =>
  error instanceof ZpsendError && error.code === 'UNREACHABLE' && error.details?.subject === subject;

const noSender = (host: string, privateAllowed: boolean): ZpsendError =>
  new ZpsendError(
    'UNREACHABLE',
    `no sender answers for ${host}. Start one there (zpsend sender), or run this command ` +
      `${privateAllowed ? `on ${host} itself` : 'without --detach'}. zpsend hosts lists the hosts that answer`,
    { host },
  );
