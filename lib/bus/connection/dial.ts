import {
  connect,
  createInbox,
  type NatsConnection,
  type NodeConnectionOptions,
  TimeoutError,
} from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { LogEvent } from '../../../schemas/log-event.ts';
import type { Clock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';
import { inboxPrefix } from '../permissions.ts';
import { type Asker, connectError, isAnswer } from './connect-error.ts';
import type { Refusal } from './refusal.ts';

/** The log events of a connection. */
export type NatsEvent = Extract<LogEvent, `nats.${string}`>;

export interface DialOptions {
  /** This host: if its user may not subscribe to `_INBOX.>`, `_INBOX.<host>.>` is tried. */
  host?: string;
  /** Wait for a server that is absent, or whose messages are too small, as a service does; a command gives up. */
  wait: boolean;
  /** Ends the wait. */
  signal?: AbortSignal;
  /** Called at every connect, disconnect and error, with a text for the log. */
  onStatus?: (event: NatsEvent, text: string) => void;
}

/** Can this user receive replies? `own`: only on the host's inbox prefix, since the server refuses the usual one. */
export type Inbox = 'usual' | 'own' | 'refused';

/**
 * Connects. A service retries until a server accepts it.
 * @throws ZpsendError UNREACHABLE, or NOT_ALLOWED if a server refuses this identity
 */
async function dial(
  connection: NodeConnectionOptions,
  { asker, refusal, clock }: Askers,
  options: DialOptions,
): Promise<NatsConnection> {
  let [logged, loggedAt] = ['', clock.now()];
  let over: ZpsendError | undefined;
  void refusal.over.then((error) => {
    over = error;
  });
  for (;;) {
    let isRefusal = false;
    const error = await connect({ ...connection, waitOnFirstConnect: false }).catch(async (thrown) => {
      const cause = await likelyCause(thrown, connection);
      isRefusal = options.wait && refusal.failed(cause);
      return connectError(cause, asker());
    });
    if (!(error instanceof ZpsendError)) {
      refusal.connected();
      return error;
    }
    if (!options.wait) throw error;
    await Promise.resolve();
    if (over) throw over;
    if (isRefusal) logged = '';
    else if (error.message !== logged || clock.now() - loggedAt > timing.connection.reminderMs) {
      [logged, loggedAt] = [error.message, clock.now()];
      options.onStatus?.('nats.waiting', `still waiting for NATS: ${logged}`);
    }
    await clock.sleep(Math.max(timing.connection.attemptMs, refusal.waitMs), options.signal);
  }
}

/**
 * The error that explains a failed connect best. With several servers, the client reports only the last one, which may be down while
 * another one refuses this identity. A reconnecting client reports a timeout for a server that requires a certificate, so each is probed.
 */
async function likelyCause(thrown: unknown, connection: NodeConnectionOptions): Promise<unknown> {
  const servers = [connection.servers ?? []].flat();
  if (isAnswer(thrown) || (servers.length < 2 && !(thrown instanceof TimeoutError))) return thrown;
  const single = { ...connection, reconnect: false, waitOnFirstConnect: false, timeout: timing.connection.probeMs };
  const others = await Promise.all(servers.map((one) => probe({ ...single, servers: one })));
  return others.find(isAnswer) ?? thrown;
}

/** A server that requires a certificate closes the connection, and often resets it before the client has read the reason. */
const probes = 10;

/** @returns why this server accepts no connection; undefined if it does */
async function probe(connection: NodeConnectionOptions): Promise<unknown> {
  for (let left = probes - 1; ; left--) {
    const failure = await connect(connection).then(
      (nc) => nc.close().then(() => undefined),
      (error: unknown) => error,
    );
    const isReset = failure instanceof Error && 'code' in failure && failure.code === 'ECONNRESET';
    if (!isReset || left === 0) return failure;
  }
}

/** May this user receive replies on this inbox prefix? The server refuses before it answers the flush. */
async function mayReceiveReplies(nc: NatsConnection, prefix: string | undefined): Promise<boolean> {
  let may = true;
  const inbox = nc.subscribe(createInbox(prefix), {
    callback: (error) => {
      if (error) may = false;
    },
  });
  // a connection that is lost during the check proves nothing
  await nc.flush().catch(() => {});
  inbox.unsubscribe();
  return may;
}

export interface Askers {
  /** With the current contents of its identity files. */
  asker(): Asker;
  readonly refusal: Refusal;
  readonly clock: Clock;
}

interface Dialled {
  readonly nc: NatsConnection;
  readonly connection: NodeConnectionOptions;
  readonly inbox: Inbox;
}

/** Connects with an inbox prefix that this user may use: the configured one, the usual one, or that of this host. */
export async function dialForAnswers(
  connection: NodeConnectionOptions,
  askers: Askers,
  options: DialOptions,
): Promise<Dialled> {
  const nc = await dial(connection, askers, options);
  if (await mayReceiveReplies(nc, connection.inboxPrefix)) return { nc, connection, inbox: 'usual' };
  if (connection.inboxPrefix !== undefined || options.host === undefined) return { nc, connection, inbox: 'refused' };
  const own = { ...connection, inboxPrefix: inboxPrefix(options.host) };
  const again = await dial(own, askers, options);
  const isAllowed = await mayReceiveReplies(again, own.inboxPrefix);
  await (isAllowed ? nc : again).close();
  return isAllowed ? { nc: again, connection: own, inbox: 'own' } : { nc, connection, inbox: 'refused' };
}
