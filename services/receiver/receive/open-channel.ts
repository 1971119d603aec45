import type { ChannelHandlers, ChannelReceiver } from '../../../lib/bus/channel/channel.ts';
import { authenticationOfTarget, newSecret, type TransferSecrets } from '../../../lib/bus/channel/direct/authentic.ts';
import { openDirectReceiver } from '../../../lib/bus/channel/direct/receiver.ts';
import type { RateLimit } from '../../../lib/bus/channel/rate-limit.ts';
import type { DataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { Log } from '../../host/log.ts';
import { forgedMessage } from '../../host/rejected-message.ts';

/** Opens the channel of a receive. @param shared the id of the subject that it shares with other receivers */
export type OpenChannel = (handlers: ChannelHandlers, shared: string | undefined) => ChannelReceiver;

export interface DirectDeps {
  readonly host: string;
  readonly dataConnection: DataConnection;
  readonly log: Log;
  /** Bytes in flight. */
  readonly window: number;
  readonly silenceMs: number;
  /** Of all receives together. */
  readonly rateLimit?: RateLimit | undefined;
}

/** The channel of a receive: the direct one, from a source that has this secret, or another one. */
export type Incoming = { readonly secret: string } | { readonly stored: OpenChannel };

/** Opens the channel of a receive, with this end's secret for the answer. */
export function channelOf(
  deps: DirectDeps,
  start: ReceiveStart,
  incoming: Incoming,
): { readonly open: OpenChannel; readonly secret: string } {
  const secret = newSecret();
  if ('stored' in incoming) return { open: incoming.stored, secret };
  return { open: directChannel(deps, start, { source: incoming.secret, target: secret }), secret };
}

const directChannel =
  (deps: DirectDeps, { sourceHost, transfer }: ReceiveStart, secrets: TransferSecrets): OpenChannel =>
  (handlers, shared) =>
    openDirectReceiver(deps.dataConnection, {
      ...handlers,
      dataSubject: subjects.data(sourceHost, deps.host, transfer),
      sharedSubject: shared && subjects.shared(sourceHost, shared),
      creditSubject: subjects.credit(sourceHost, transfer, deps.host),
      authentication: authenticationOfTarget({ source: sourceHost, target: deps.host, transfer }, secrets),
      onForged: () => deps.log.warn(...forgedMessage(transfer, sourceHost)),
      window: deps.window,
      silenceMs: deps.silenceMs,
      rateLimit: deps.rateLimit,
    });
