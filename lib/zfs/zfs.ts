import { hostname } from 'node:os';
import { type About, about } from './about.ts';
import { type Changes, changes } from './changes.ts';
import { commandsOf } from './commands.ts';
import { type Listing, listing } from './listing.ts';
import { type Marks, marks } from './marks.ts';
import { openOutputPairs } from './pipe.ts';
import { environment, whoami } from './run.ts';
import { type Streams, streams } from './streams.ts';

export type { InspectedName, PoolFacts } from './parse.ts';
export type { ZfsProcess } from './run.ts';

/** ZFS on this host. Every failure is a ZpsendError; checks names before a process starts (I10). */
export type Zfs = Listing & Streams & Marks & Changes & About;

export interface ZfsOptions {
  /** This host's name in messages. */
  host?: string;
  /** Its PATH finds `zfs` and `zpool`; the system's sbin folders come after it. */
  env?: NodeJS.ProcessEnv;
  /** Timeout of a command that changes no data, in milliseconds; 5 minutes if absent. */
  queryTimeoutMs?: number;
}

export function createZfs(options: ZfsOptions = {}): Zfs {
  const commands = commandsOf({
    host: options.host ?? hostname(),
    user: whoami(),
    env: environment(options.env ?? process.env),
    outputs: openOutputPairs(),
    ...(options.queryTimeoutMs !== undefined && { queryTimeoutMs: options.queryTimeoutMs }),
  });
  return {
    ...listing(commands),
    ...streams(commands),
    ...marks(commands),
    ...changes(commands),
    ...about(commands),
  };
}
