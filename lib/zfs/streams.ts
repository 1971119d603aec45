import { contentArgv, estimateArgv, type ReceiveRequest, receiveArgv, type StreamRequest, sendArgv } from './argv.ts';
import type { Commands } from './commands.ts';
import { parseEstimate } from './parse.ts';
import { runQuery, start, type ZfsProcess } from './run.ts';

/** `zfs send`, `zfs receive`, and the estimated size of a stream. */
export interface Streams {
  /** Starts `zfs send`, full or `-i`. `from` is the full name `pool/a@x` or `pool/a#bookmark`. */
  send(stream: StreamRequest): ZfsProcess;
  /** Starts a full `zfs send` of a snapshot (`pool/a@x`) to read its contents; `raw`: encrypted, which needs no key. */
  content(snapshot: string, raw: boolean): ZfsProcess;
  /** Starts `zfs receive -s -u` into `dataset@snapshot`. Without `snapshot`, it would accept any. */
  receive(into: ReceiveRequest): ZfsProcess;
  /** Bytes of the stream, as ZFS estimates (sometimes far off for a token, openzfs#16691); undefined if it prints no size. */
  estimate(stream: StreamRequest): Promise<number | undefined>;
}

const isResumed = (stream: StreamRequest): stream is Extract<StreamRequest, { token: string }> => 'token' in stream;
const baseOf = (stream: StreamRequest): string | undefined => (isResumed(stream) ? undefined : stream.from);

export function streams({ zfsEnvironment, failed }: Commands): Streams {
  return {
    send(stream) {
      const doing = isResumed(stream) ? 'resuming a send' : `sending ${stream.to}`;
      return start(zfsEnvironment, sendArgv(stream), { doing, from: baseOf(stream) });
    },

    content: (snapshot, raw) => start(zfsEnvironment, contentArgv(snapshot, raw), { doing: `reading ${snapshot}` }),

    receive: (into) => start(zfsEnvironment, receiveArgv(into), { doing: `receiving into ${into.dataset}` }),

    async estimate(stream) {
      const doing = isResumed(stream) ? 'estimating a resumed send' : `estimating the size of ${stream.to}`;
      const outcome = await runQuery(zfsEnvironment, 'zfs', estimateArgv(stream), doing);
      if (!outcome.ok) throw failed(outcome, doing, baseOf(stream));
      // some releases print a dry run on stdout, others on stderr
      return parseEstimate(`${outcome.stdout}\n${outcome.stderr}`);
    },
  };
}
