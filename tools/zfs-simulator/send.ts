import { isatty } from 'node:tty';
import { niceBytes } from './format.ts';
import { getopt } from './getopt.ts';
import { complain, print } from './output.ts';
import { produce, streamBytes } from './produce.ts';
import { Refusal } from './refusal.ts';
import { decodeToken, describeToken } from './resume-token.ts';
import { whileSending } from './sending.ts';
import { requestedStream, resumed, type Sending } from './what-to-send.ts';

const SYNOPSIS = `send [-DLPbcehnpsVvw] [-i|-I snapshot] <snapshot>
\tsend [-nVvPe] -t <receive_resume_token>`;

/** `zfs send`: prints a dry run, or writes the stream to stdout. */
export function send(argv: readonly string[]): void {
  const options = getopt(argv, 'i:t:DLPbcehnpsVvw', SYNOPSIS);
  const has = (letter: string): boolean => options.given.has(letter);
  const token = options.given.get('t')?.[0];
  const talk: string[] = [];
  let sending: Sending;
  if (token === undefined) {
    sending = requestedStream(options, SYNOPSIS);
  } else {
    const point = decodeToken(token);
    if (has('v')) talk.push(describeToken(point));
    if (has('n')) print(talk.splice(0).join(''));
    sending = resumed(point);
  }
  if (isatty(1) && !has('n')) {
    throw new Refusal('Error: Stream can not be written to a terminal.\nYou must redirect standard output.');
  }
  const size = streamBytes(sending.head);
  if (has('v') || (has('P') && has('n'))) talk.push(estimate(sending, size, has('P')));
  if (has('n')) {
    print(talk.join(''));
    return;
  }
  complain(talk.join(''));
  whileSending([sending.snapshot, ...(sending.from === undefined ? [] : [sending.from])], () => {
    produce(sending.head, sending.snapshot, has('v'));
  });
}

function estimate(sending: Sending, size: number, parsable: boolean): string {
  const { from, snapshot } = sending;
  if (parsable) {
    const line = from === undefined ? `full\t${snapshot}\t${size}` : `incremental\t${from}\t${snapshot}\t${size}`;
    return `${line}\nsize\t${size}\n`;
  }
  const what = from === undefined ? `full send of ${snapshot}` : `send from ${from} to ${snapshot}`;
  return `${what} estimated size is ${niceBytes(size)}\ntotal estimated size is ${niceBytes(size)}\n`;
}
