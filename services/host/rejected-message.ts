import type { LogEvent } from '../../schemas/log-event.ts';
import type { LogFields } from './log.ts';

/**
 * What a log says of the first word of a transfer that does not count.
 * @param host who should have said it
 */
export const forgedWord = (transfer: string, host: string): [LogEvent, string, LogFields] => [
  'word.forged',
  `ignored a word of transfer ${transfer} that ${host} has not said, or not now: another user of NATS publishes in its name`,
  { transfer },
];
