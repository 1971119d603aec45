import { createZfs, type Zfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Info } from '../../schemas/host.ts';

export type ZfsFacts = Pick<Info, 'zfs' | 'zfsError' | 'pools'>;

/** The version of ZFS and the pools, or why ZFS does not answer. */
export async function zfsFacts(zfs: Pick<Zfs, 'version' | 'pools'>): Promise<ZfsFacts> {
  try {
    const [zfsVersion, pools] = await Promise.all([zfs.version(), zfs.pools()]);
    return { zfs: zfsVersion, pools };
  } catch (error) {
    return { zfsError: ZpsendError.from(error).message, pools: [] };
  }
}

/** The same of this machine, without a service. */
export const localZfsFacts = (host: string, env: NodeJS.ProcessEnv): Promise<ZfsFacts> =>
  zfsFacts(createZfs({ host, env }));
