import { contentArgv, estimateArgv, receiveArgv, type StreamRequest, sendArgv } from './argv.ts';
import type { Commands } from './commands.ts';
import { parseEstimate } from './parse.ts';
import { runQuery, start } from './run.ts';
import type { Zfs } from './zfs.ts';

const isResumed = (stream: StreamRequest): stream is Extract<StreamRequest, { token: string }> => 'token' in stream;
const baseOf = (stream: StreamRequest): string | undefined => (isResumed(stream) ? undefined : stream.from);

/** `zfs send` and `zfs receive`, and what a stream would be. */
export function streams({ zfsEnvironment, failed }: Commands): Pick<Zfs, 'send' | 'content' | 'receive' | 'estimate'> {
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
