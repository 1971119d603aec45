import { setTimeout as sleep } from 'node:timers/promises';
import {
  connect,
  createInbox,
  type NatsConnection,
  type NodeConnectionOptions,
  TimeoutError,
} from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { LogEvent } from '../../../schemas/log-event.ts';
import { timing } from '../../time/timing.ts';
import { inboxPrefix } from '../permissions.ts';
import { type Asker, connectError, isAnswer } from './connect-error.ts';
import type { Refusal } from './refusal.ts';

/** What happens to a connection. */
export type NatsEvent = Extract<LogEvent, `nats.${string}`>;

export interface DialOptions {
  /** This host: where its user may not have answers in `_INBOX.>`, `_INBOX.<host>.>` is tried. */
  host?: string;
  /** Wait for a server that is not there yet, or takes too small messages, as a service does; a command gives up. */
  wait: boolean;
  /** Ends the waiting. */
  signal?: AbortSignal;
  /** Told of every connect, disconnect and error, in words for a log. */
  onStatus?: (event: NatsEvent, text: string) => void;
}

/** May answers come? `own`: on an inbox prefix that was tried, since the server refuses the usual one. */
export type Inbox = 'usual' | 'own' | 'refused';

/**
 * Connects, or says why not. A service tries until it can.
 * @throws ZpsendError UNREACHABLE, or NOT_ALLOWED where a server refuses us
 */
async function dial(
  connection: NodeConnectionOptions,
  { asker, refusal }: Askers,
  options: DialOptions,
): Promise<NatsConnection> {
  let [said, saidAt] = ['', 0];
  let over: ZpsendError | undefined;
  void refusal.over.then((error) => {
    over = error;
  });
  for (;;) {
    let isOurs = false;
    const error = await connect({ ...connection, waitOnFirstConnect: false }).catch(async (thrown) => {
      const telling = await mostTelling(thrown, connection);
      isOurs = options.wait && refusal.failed(telling);
      return connectError(telling, asker());
    });
    if (!(error instanceof ZpsendError)) {
      refusal.connected();
      return error;
    }
    if (!options.wait) throw error;
    await Promise.resolve();
    if (over) throw over;
    if (isOurs) said = '';
    else if (error.message !== said || Date.now() - saidAt > timing.connection.reminderMs) {
      [said, saidAt] = [error.message, Date.now()];
      options.onStatus?.('nats.waiting', `still waiting for NATS: ${said}`);
    }
    await sleep(
      Math.max(timing.connection.attemptMs, refusal.waitMs),
      undefined,
      options.signal && { signal: options.signal },
    );
  }
}

/**
 * Of several servers the client tells of the last one: one that answers, and refuses us, says more than one that is down. And of a
 * server that hangs up after TLS, since it wants a certificate, a client that would come back only tells that time went by.
 */
async function mostTelling(thrown: unknown, connection: NodeConnectionOptions): Promise<unknown> {
  const servers = [connection.servers ?? []].flat();
  if (isAnswer(thrown) || (servers.length < 2 && !(thrown instanceof TimeoutError))) return thrown;
  const single = { ...connection, reconnect: false, waitOnFirstConnect: false, timeout: timing.connection.probeMs };
  const others = await Promise.all(
    servers.map((one) =>
      connect({ ...single, servers: one }).then(
        (nc) => nc.close().then(() => undefined),
        (error: unknown) => error,
      ),
    ),
  );
  return others.find(isAnswer) ?? thrown;
}

/** May this user have answers where the client wants them? The server refuses before it answers the flush. */
async function mayHearAnswers(nc: NatsConnection, prefix: string | undefined): Promise<boolean> {
  let may = true;
  const inbox = nc.subscribe(createInbox(prefix), {
    callback: (error) => {
      if (error) may = false;
    },
  });
  // a connection that is lost just now proves nothing
  await nc.flush().catch(() => {});
  inbox.unsubscribe();
  return may;
}

export interface Askers {
  /** With the identity as its files have it now. */
  asker(): Asker;
  readonly refusal: Refusal;
}

interface Dialled {
  readonly nc: NatsConnection;
  readonly connection: NodeConnectionOptions;
  readonly inbox: Inbox;
}

/** Connects with an inbox prefix that this user may use: the one that is set, the usual one, or that of this host. */
export async function dialForAnswers(
  connection: NodeConnectionOptions,
  askers: Askers,
  options: DialOptions,
): Promise<Dialled> {
  const nc = await dial(connection, askers, options);
  if (await mayHearAnswers(nc, connection.inboxPrefix)) return { nc, connection, inbox: 'usual' };
  if (connection.inboxPrefix !== undefined || options.host === undefined) return { nc, connection, inbox: 'refused' };
  const own = { ...connection, inboxPrefix: inboxPrefix(options.host) };
  const again = await dial(own, askers, options);
  const isHeard = await mayHearAnswers(again, own.inboxPrefix);
  await (isHeard ? nc : again).close();
  return isHeard ? { nc: again, connection: own, inbox: 'own' } : { nc, connection, inbox: 'refused' };
}
