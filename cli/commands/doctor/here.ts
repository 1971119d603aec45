import { loadSettings, type Settings } from '../../../lib/settings/settings.ts';
import { settingsInWords } from '../../../lib/settings/words.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Check } from '../../../schemas/output.ts';
import type { Cli } from '../../context.ts';
import { bad, good, note } from './check.ts';

export function checkNode(version: string): Check {
  const major = Number(/^v(\d+)/.exec(version)?.[1] ?? 0);
  return major >= 24 ? good('node', version) : bad('node', version, 'install Node.js 24 or later');
}

/** The configuration, and what it allows; without one that is valid no service starts here. */
export async function checkConfig(cli: Cli): Promise<{ settings?: Settings; check: Check }> {
  try {
    const settings = loadSettings(cli.env);
    await cli.local.judge(settings);
    return { settings, check: good('config', settingsInWords(settings)) };
  } catch (thrown) {
    const remedy = 'as it says; zpsend config check FILE tries a file. No service starts here before';
    return { check: bad('config', ZpsendError.from(thrown).message, remedy) };
  }
}

/** A file of variables that this user may not read hides from him what the services find. */
export function checkEnvironmentFile({ program: { state, path } }: Cli): Check[] {
  if (state !== 'unreadable') return [];
  const found = `${path} cannot be read by this user, so what it says is not known to this command`;
  return [
    note(
      'environment',
      found,
      'run it as the user of the services, or set NATS_URL, ZPSEND_HOST and what belongs to them',
    ),
  ];
}
