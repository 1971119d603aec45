import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../contract/zfs-under-test.ts';
import { type ServiceProcess, startService } from '../support/service.ts';

const slowZfs = dirname(fileURLToPath(new URL('../support/slow-zfs/zfs', import.meta.url)));
const rateFolder = mkdtempSync(join(tmpdir(), 'zpsend-rate-'));
// services of an ordinary user read it too
chmodSync(rateFolder, 0o755);
const rateFile = join(rateFolder, 'rate');

/** `zfs send` at so many bytes a second, from the next one on. */
export const slow = (rate: number): void => writeFileSync(rateFile, String(rate));
/** `zfs send` as fast as it is, also one that runs. */
export const fast = (): void => rmSync(rateFile, { force: true });

/** The user `nobody`, who may also read the folder of this repository. */
export const ordinaryUser = {
  name: 'nobody',
  through: [
    'setpriv',
    ...['--reuid=nobody', '--regid=nogroup', '--clear-groups'],
    ...['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
  ],
};

/** Starts a service on this machine's own ZFS, which may write to the lab's target. */
export const startHere = (
  zfs: Lab,
  url: string,
  service: 'sender' | 'receiver',
  host: string,
  more: NodeJS.ProcessEnv = {},
  user?: typeof ordinaryUser,
): Promise<ServiceProcess> =>
  startService(
    service,
    {
      ...zfs.env,
      PATH: [slowZfs, zfs.env.PATH].join(delimiter),
      SLOW_ZFS_NODE: process.execPath,
      SLOW_ZFS_RATE_FILE: rateFile,
      NATS_URL: url,
      ZPSEND_HOST: host,
      ...('ZPSEND_CONFIG' in more ? {} : { ZPSEND_ALLOW: `*=${zfs.target}` }),
      // an emulated machine takes its time
      ZPSEND_LOCK_SECONDS: '15',
      ZPSEND_SILENCE_SECONDS: '10',
      // tests destroy what was received; those of the hold itself switch it on
      ZPSEND_HOLD_NEWEST: 'off',
      ...more,
    },
    user && { through: user.through },
  );

/** A configuration file for one service. */
export function configured(yaml: string): { ZPSEND_CONFIG: string } {
  const file = join(mkdtempSync(join(tmpdir(), 'zpsend-config-')), 'zpsend.yaml');
  writeFileSync(file, yaml);
  return { ZPSEND_CONFIG: file };
}
