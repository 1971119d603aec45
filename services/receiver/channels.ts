import type { BulkConnection } from '../../lib/bus/bulk/connection.ts';
import type { ChannelHandlers, ChannelReceiver } from '../../lib/bus/channel.ts';
import type { Pace } from '../../lib/bus/direct/pace.ts';
import { openDirectReceiver } from '../../lib/bus/direct/receive.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import type { ReceiveStart } from '../../schemas/transfer.ts';

/** Opens the channel by which a receive's stream comes; `shared`: together with other receivers of it. */
export type OpenChannel = (handlers: ChannelHandlers, shared: string | undefined) => ChannelReceiver;

export interface DirectDeps {
  readonly host: string;
  readonly bulk: BulkConnection;
  /** Bytes in flight. */
  readonly window: number;
  readonly silenceMs: number;
  /** How fast all receives together may take in. */
  readonly pace?: Pace | undefined;
}

export const directChannel =
  (deps: DirectDeps, { source, transfer }: ReceiveStart): OpenChannel =>
  (handlers, shared) =>
    openDirectReceiver(deps.bulk, {
      ...handlers,
      dataSubject: subjects.data(source, deps.host, transfer),
      sharedSubject: shared && subjects.shared(source, shared),
      creditSubject: subjects.credit(source, transfer, deps.host),
      window: deps.window,
      silenceMs: deps.silenceMs,
      pace: deps.pace,
    });
