import type { LogEvent } from '../../schemas/log-event.ts';
import type { LogFields } from './log.ts';

/**
 * The log line for the first message of a transfer that does not count.
 * @param host who should have sent it
 */
export const forgedMessage = (transfer: string, host: string): [LogEvent, string, LogFields] => [
  'control-message.forged',
  `ignored a control message of transfer ${transfer} that ${host} has not sent, or not now: another user of NATS publishes in its name`,
  { transfer },
];
