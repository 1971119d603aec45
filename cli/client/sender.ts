import type { z } from 'zod';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { joinPlan } from '../../lib/bus/rpc/plan-parts.ts';
import { request, requestMany } from '../../lib/bus/rpc/request.ts';
import { type SenderVerb, subjects } from '../../lib/bus/subjects.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type PlanReply, planPartSchema, type SendRequest } from '../../schemas/plan.ts';
import { thisHost } from '../args/this-host.ts';
import type { Cli } from '../context.ts';
import { type PrivateSender, startPrivate } from './private-sender.ts';

/** The way to a sender of one host: its service, or one that this command runs for itself. */
export interface SenderRoute {
  readonly host: string;
  /** @param ms how long to wait for the answer, in milliseconds */
  ask<S extends z.ZodType>(verb: SenderVerb, body: object, reply: S, ms?: number): Promise<z.output<S>>;
  /** The plan for one target, however many messages it takes. @param ms the longest silence, in milliseconds */
  plan(body: SendRequest, ms: number): Promise<PlanReply>;
  /** Aborted when a sender of our own has ended too early. */
  readonly lost: AbortSignal;
}

/**
 * Asks the sender service of `host`. Where none answers, and `host` is this one, runs a private sender as long as `use`
 * takes, so that a cron line needs no service on its source.
 * @param ownAllowed whether a private one is of use
 * @throws ZpsendError UNREACHABLE when none answers on another host, or the private one cannot start
 */
export async function withSender<T>(
  cli: Cli,
  bus: Bus,
  host: string,
  use: (route: SenderRoute) => Promise<T>,
  { ownAllowed = true } = {},
): Promise<T> {
  const lost = new AbortController();
  let own: Promise<PrivateSender> | undefined;
  const startOwn = async () => {
    if (host !== thisHost(cli.env) || !ownAllowed) throw noSender(host, ownAllowed);
    const started = await startPrivate(cli);
    void started.ended.then(() => lost.abort());
    return started;
  };
  /** Asks the service, or our own sender where nobody serves. */
  async function ask<T>(verb: SenderVerb, through: (subject: string) => Promise<T>): Promise<T> {
    const subject = subjects.send(host, verb);
    if (own !== undefined) return through(subjects.instance(subject, (await own).instance));
    try {
      return await through(subject);
    } catch (error) {
      // whoever asks for a job's status or end means a sender that was there
      if (!isNobody(error, subject) || verb === 'status' || verb === 'abort') throw error;
      // several targets ask at once, and one sender is enough
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

/** The same code may come from the sender about somebody else. */
const isNobody = (error: unknown, subject: string): boolean =>
  error instanceof ZpsendError && error.code === 'UNREACHABLE' && error.details?.subject === subject;

const noSender = (host: string, ownAllowed: boolean): ZpsendError =>
  new ZpsendError(
    'UNREACHABLE',
    `no sender answers for ${host}: start one there (zpsend sender), or run this command ` +
      `${ownAllowed ? `on ${host} itself` : 'without --detach'}. Hosts that answer: zpsend hosts`,
    { host },
  );
