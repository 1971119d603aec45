import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../schemas/config.ts';
import { type Settings, settingVariables } from './settings.ts';

type Section = 'receive' | 'send' | 'timing';
/** The path of a setting in the configuration file: a key of one of the three sections, or a whole top-level key. */
type SettingPath = Exclude<keyof Config, Section> | { [S in Section]: `${S}.${keyof Config[S] & string}` }[Section];

/**
 * When a changed setting takes effect in a running service. `at once`: for all new work. `restart`: the service has built something
 * on the old value that it cannot replace, for example its connection or its bucket of locks.
 */
export const takesEffect: Readonly<Record<SettingPath, 'at once' | 'restart'>> = {
  host: 'restart',
  machineId: 'restart',
  nats: 'restart',
  'receive.maxConcurrent': 'at once',
  'receive.allow': 'at once',
  'receive.bwlimit': 'at once',
  'receive.storeDomains': 'at once',
  'receive.holdNewest': 'at once',
  'receive.properties': 'at once',
  'send.allow': 'at once',
  'send.parallel': 'at once',
  'send.compression': 'at once',
  'send.channel': 'at once',
  'send.store': 'at once',
  'send.bookmarks': 'at once',
  'send.policies': 'at once',
  'send.reconcileMinutes': 'at once',
  'timing.lockSeconds': 'restart',
  'timing.silenceSeconds': 'at once',
  'timing.patienceSeconds': 'at once',
};

const paths = Object.keys(takesEffect) as SettingPath[];

/** The host name and the machine id count as the environment and this machine resolve them, also where the file has none. */
function valueAt({ host, machineId, config }: Settings, path: SettingPath): unknown {
  if (path === 'host') return host;
  if (path === 'machineId') return machineId;
  const [section = '', key] = path.split('.');
  const value: unknown = config[section as keyof Config];
  return key === undefined ? value : Object(value)[key];
}

/** The paths of the settings that differ. */
export const changedKeys = (before: Settings, after: Settings): SettingPath[] =>
  paths.filter((path) => !isDeepStrictEqual(valueAt(before, path), valueAt(after, path)));

/** What a service does with settings that it has read again. */
interface Reload {
  /** The new settings, with the old values of those that need a restart. */
  readonly settings: Settings;
  /** Differs, and takes effect at once. */
  readonly changed: readonly SettingPath[];
  /** Differs, and takes effect after a restart. */
  readonly needsRestart: readonly SettingPath[];
}

/** @param before the settings in force; @param after those of the file and the environment */
export function afterReload(before: Settings, after: Settings): Reload {
  const differing = Object.groupBy(changedKeys(before, after), (path) => takesEffect[path]);
  const { host, machineId, nats } = before.config;
  const { lockSeconds } = before.config.timing;
  return {
    settings: {
      ...before,
      path: after.path,
      config: { ...after.config, host, machineId, nats, timing: { ...after.config.timing, lockSeconds } },
    },
    changed: differing['at once'] ?? [],
    needsRestart: differing.restart ?? [],
  };
}

const isOurs = (name: string): boolean => /^(?:NATS|ZPSEND)_/.test(name) && !settingVariables.has(name);

/** The variables that differ and are not settings of the file: those of the connection and of the log. They take effect after a restart. */
export const changedVariables = (before: NodeJS.ProcessEnv, after: NodeJS.ProcessEnv): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => isOurs(name) && (before[name] || '') !== (after[name] || ''))
    .sort();
