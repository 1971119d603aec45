import { loadSettings, type Settings, settingsSummary } from '../../../lib/settings/settings.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Check } from '../../../schemas/output.ts';
import type { Cli } from '../../context.ts';
import { bad, good, note } from './check.ts';

export function checkNode(version: string): Check {
  const major = Number(/^v(\d+)/.exec(version)?.[1] ?? 0);
  return major >= 24 ? good('node', version) : bad('node', version, 'install Node.js 24 or later');
}

/** The configuration, and what it allows. No service starts without a valid one. */
export async function checkConfig(cli: Cli): Promise<{ settings?: Settings; check: Check }> {
  try {
    const settings = loadSettings(cli.env);
    await cli.local.validate(settings);
    return { settings, check: good('config', settingsSummary(settings)) };
  } catch (thrown) {
    const remedy = 'correct the file, and try it with zpsend config check FILE. No service starts until then';
    return { check: bad('config', ZpsendError.from(thrown).message, remedy) };
  }
}

/** The services may read variables from a file that this user may not read. */
export function checkEnvironmentFile({ program: { state, path } }: Cli): Check[] {
  if (state !== 'unreadable') return [];
  const found = `this user may not read ${path}, so this command does not know its variables`;
  return [
    note(
      'environment',
      found,
      'run zpsend as the user of the services, or set the variables of that file (NATS_URL, ZPSEND_HOST ...)',
    ),
  ];
}
