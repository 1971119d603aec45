import { type NatsConnection, PermissionViolationError, type Status } from '@nats-io/transport-node';
import { isRefused } from './connect-error.ts';
import type { NatsEvent } from './dial.ts';
import { noteStatus, type Refusal } from './refusal.ts';

const messages: Partial<Record<Status['type'], readonly [NatsEvent, string]>> = {
  disconnect: ['nats.lost', 'lost the connection to NATS, reconnecting'],
  reconnect: ['nats.connected', 'connected to NATS again'],
  ldm: ['nats.stopping', 'the NATS server is about to stop (lame duck); running work continues on another server'],
  staleConnection: ['nats.lost', 'the connection to NATS is stale'],
};

export interface Watched {
  readonly nc: NatsConnection;
  readonly refusal: Refusal;
  /** Called at each status. */
  changed(type: Status['type']): void;
  /** @returns whether the subject has a listener */
  denied(subject: string): boolean;
  report(event: NatsEvent, text: string): void;
}

/** The subject of a denied subscription; undefined for any other status. */
const deniedSubject = (status: Status): string | undefined =>
  status.type === 'error' &&
  status.error instanceof PermissionViolationError &&
  status.error.operation === 'subscription'
    ? status.error.subject
    : undefined;

/** Logs each loss once, and each new error of the reconnects. Refusals are logged by `refusal`. Ends when the connection is closed. */
export async function watchConnection({ nc, refusal, changed, denied, report }: Watched): Promise<void> {
  let isLost = false;
  let lastError = '';
  for await (const status of nc.status()) {
    noteStatus(status, refusal);
    changed(status.type);
    const subject = deniedSubject(status);
    if (subject !== undefined && denied(subject)) continue;
    const isRepeated = status.type === 'disconnect' && isLost;
    if (status.type === 'disconnect') isLost = true;
    if (status.type === 'reconnect') [isLost, lastError] = [false, ''];
    if (status.type === 'error' && !isRefused(status.error)) {
      const { message } = status.error;
      if (message !== lastError) report('nats.error', `NATS reports: ${message}`);
      if (isLost) lastError = message;
    }
    const message = messages[status.type];
    if (message && !isRepeated) report(...message);
  }
}
