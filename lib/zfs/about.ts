import { poolPropertiesArgv, poolsArgv, versionArgv } from './argv.ts';
import type { Commands } from './commands.ts';
import { unknownCommand } from './errors.ts';
import { parsePoolFacts, parsePools } from './parse.ts';
import { run, runQuery } from './run.ts';
import type { Zfs } from './zfs.ts';

/** What this host's ZFS is, and its pools. */
export function about({ zfsEnvironment, failed }: Commands): Pick<Zfs, 'version' | 'pools' | 'poolFacts'> {
  return {
    async version() {
      const outcome = await runQuery(zfsEnvironment, 'zfs', versionArgv, 'asking for the version');
      if (outcome.ok) return outcome.stdout.split('\n', 1)[0] || 'zfs';
      if (unknownCommand(outcome.stderr)) return 'zfs (does not tell its version)';
      throw failed(outcome, 'asking for the version');
    },

    async pools() {
      const outcome = await runQuery(zfsEnvironment, 'zpool', poolsArgv, 'listing pools');
      if (!outcome.ok) throw failed(outcome, 'listing pools');
      return parsePools(outcome.stdout);
    },

    async poolFacts(pool) {
      const doing = 'asking for the properties of pools';
      const outcome = await run(zfsEnvironment, 'zpool', poolPropertiesArgv(pool), doing).catch(() => undefined);
      return outcome?.ok ? parsePoolFacts(outcome.stdout) : undefined;
    },
  };
}
