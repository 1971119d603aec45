import type { Pool } from '../../schemas/host.ts';
import { poolPropertiesArgv, poolsArgv, versionArgv } from './argv.ts';
import type { Commands } from './commands.ts';
import { unknownCommand } from './errors.ts';
import { type PoolFacts, parsePoolFacts, parsePools } from './parse.ts';
import { run, runQuery } from './run.ts';

/** The version of this host's ZFS, and its pools. */
export interface About {
  /** First line of `zfs version`. */
  version(): Promise<string>;
  pools(): Promise<Pool[]>;
  /**
   * What streams depend on in one pool, or in all. Undefined if `zpool get` fails, which is no error: the caller then assumes
   * the minimum.
   */
  poolFacts(pool?: string): Promise<PoolFacts | undefined>;
}

export function about({ zfsEnvironment, failed }: Commands): About {
  return {
    async version() {
      const outcome = await runQuery(zfsEnvironment, 'zfs', versionArgv, 'reading the version');
      if (outcome.ok) return outcome.stdout.split('\n', 1)[0] || 'zfs';
      if (unknownCommand(outcome.stderr)) return 'zfs (version unknown)';
      throw failed(outcome, 'reading the version');
    },

    async pools() {
      const outcome = await runQuery(zfsEnvironment, 'zpool', poolsArgv, 'listing pools');
      if (!outcome.ok) throw failed(outcome, 'listing pools');
      return parsePools(outcome.stdout);
    },

    async poolFacts(pool) {
      const doing = 'reading the properties of pools';
      const outcome = await run(zfsEnvironment, 'zpool', poolPropertiesArgv(pool), doing).catch(() => undefined);
      return outcome?.ok ? parsePoolFacts(outcome.stdout) : undefined;
    },
  };
}
