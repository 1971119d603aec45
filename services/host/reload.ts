import { afterReload, changedVariables } from '../../lib/settings/reload.ts';
import { loadSettings, type Settings } from '../../lib/settings/settings.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Log } from './log.ts';

export interface ReloadDeps {
  /** The environment at the start. */
  readonly env: NodeJS.ProcessEnv;
  /** The environment as it would be after a restart. @throws ZpsendError BAD_REQUEST */
  readonly readEnv: () => NodeJS.ProcessEnv;
  /** The service's check beyond the schema. @throws ZpsendError BAD_REQUEST */
  readonly check: (settings: Settings) => void;
  readonly log: Log;
}

/**
 * Reads the configuration again, and logs the difference.
 * @param before the settings in force
 * @returns the settings from now on: those before, if the new ones are invalid
 */
export function reload({ env, readEnv, check, log }: ReloadDeps, before: Settings): Settings {
  let read: Settings;
  let variables: string[];
  try {
    const now = readEnv();
    read = loadSettings(now);
    check(read);
    variables = changedVariables(env, now);
  } catch (thrown) {
    const { code, message } = ZpsendError.from(thrown);
    const why = message.replaceAll(/:\n\s*/g, ': ').replaceAll(/\n\s*/g, '; ');
    log.error('settings.refused', `the settings stay as they are, since the new ones are invalid: ${code}: ${why}`, {
      code,
    });
    return before;
  }
  const { settings, changed, needsRestart } = afterReload(before, read);
  const later = [...needsRestart, ...variables];
  if (changed.length > 0) {
    log.info('settings.changed', `changed for all new work: ${changed.join(', ')}`, { settings: changed });
  } else if (later.length === 0) {
    log.info('settings.unchanged', 'the configuration was read again, and nothing has changed');
  }
  if (later.length > 0) {
    log.warn('settings.need-restart', `takes effect after a restart of this service: ${later.join(', ')}`, {
      settings: later,
    });
  }
  return settings;
}
