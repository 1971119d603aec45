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

/** ZFS on this host. Every failure is a ZpsendError; names are checked before a process starts (I10). */
export type Zfs = Listing & Streams & Marks & Changes & About;

export interface ZfsOptions {
  /** This host's name in messages. */
  host?: string;
  /** Its PATH finds `zfs` and `zpool`; the system's sbin folders are searched after it. */
  env?: NodeJS.ProcessEnv;
  /** How long a command that changes no data may take, in milliseconds; 5 minutes when absent. */
  briefMs?: number;
}

export function createZfs(options: ZfsOptions = {}): Zfs {
  const commands = commandsOf({
    host: options.host ?? hostname(),
    user: whoami(),
    env: environment(options.env ?? process.env),
    outputs: openOutputPairs(),
    ...(options.briefMs !== undefined && { briefMs: options.briefMs }),
  });
  return {
    ...listing(commands),
    ...streams(commands),
    ...marks(commands),
    ...changes(commands),
    ...about(commands),
  };
}
