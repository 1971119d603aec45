import { datasetSchema } from '../../schemas/names.ts';
import { environment, runQuery } from './run.ts';

/**
 * Names only, which is faster than an inventory: all filesystems and volumes, or the snapshots of one dataset.
 * @param ms time limit in milliseconds
 * @throws ZpsendError TIMEOUT, or UNSUPPORTED without ZFS
 */
export async function listNames(env: NodeJS.ProcessEnv, dataset: string | undefined, ms: number): Promise<string[]> {
  const what =
    dataset === undefined
      ? ['filesystem,volume']
      : ['snapshot', '-d', '1', '-s', 'createtxg', datasetSchema.parse(dataset)];
  const zfs = { host: 'this host', user: '', env: environment(env), queryTimeoutMs: ms };
  const { stdout } = await runQuery(zfs, 'zfs', ['list', '-H', '-o', 'name', '-t', ...what], 'listing names');
  return stdout.split('\n').filter((line) => line !== '');
}
