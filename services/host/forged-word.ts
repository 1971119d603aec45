/**
 * What a log says of the first word of a transfer that does not count.
 * @param host who should have said it
 */
export const forgedWord = (transfer: string, host: string): [object, string] => [
  { event: 'word.forged' },
  `ignored a word of transfer ${transfer} that ${host} has not said, or not now: another user of NATS publishes in its name`,
];
