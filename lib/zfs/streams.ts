import { contentArgv, estimateArgv, type ReceiveRequest, receiveArgv, type StreamRequest, sendArgv } from './argv.ts';
import type { Commands } from './commands.ts';
import { parseEstimate } from './parse.ts';
import { runQuery, start, type ZfsProcess } from './run.ts';

/** `zfs send` and `zfs receive`, and how large a stream will be. */
export interface Streams {
  /** Starts `zfs send`, full or `-i`. `from` is `pool/a@x` or `pool/a#bookmark`, in full. */
  send(stream: StreamRequest): ZfsProcess;
  /** Starts a full `zfs send` of a snapshot (`pool/a@x`) whose contents are to be read; `raw`: as they are encrypted, which needs no key. */
  content(snapshot: string, raw: boolean): ZfsProcess;
  /** Starts `zfs receive -s -u` into `dataset@snapshot`; give `snapshot` always, so that only that one can come. */
  receive(into: ReceiveRequest): ZfsProcess;
  /** Bytes that `zfs send` will print, as ZFS guesses (far off at times for a token, openzfs#16691); undefined where it does not say. */
  estimate(stream: StreamRequest): Promise<number | undefined>;
}

const isResumed = (stream: StreamRequest): stream is Extract<StreamRequest, { token: string }> => 'token' in stream;
const baseOf = (stream: StreamRequest): string | undefined => (isResumed(stream) ? undefined : stream.from);

/** `zfs send` and `zfs receive`, and what a stream would be. */
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
      // releases differ in whether a dry run speaks on stdout or stderr
      return parseEstimate(`${outcome.stdout}\n${outcome.stderr}`);
    },
  };
}
