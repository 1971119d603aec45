import { hostname } from 'node:os';
import { z } from 'zod';
import {
  type Config,
  configSchema,
  receiveConfigSchema,
  sendConfigSchema,
  timingConfigSchema,
} from '../../schemas/config.ts';
import { keyVariables, variableOfKey } from '../../schemas/environment.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { faultOf, faultWords } from '../../schemas/issue-words.ts';
import { datasetSchema, hostSchema } from '../../schemas/names.ts';
import type { NatsConfig } from '../../schemas/nats.ts';
import { configPath, configPaths, readYaml, shown } from './config-file.ts';

/** The checked settings of a service. */
export interface Settings {
  readonly host: string;
  /** Replaces the id of the machine. */
  readonly machineId?: string;
  readonly config: Config;
  /** The configuration file; undefined without one. */
  readonly path: string | undefined;
}

/** The environment variables that replace a setting of the file outside its section `nats`, or name the file. */
export const settingVariables: ReadonlySet<string> = new Set([
  'ZPSEND_CONFIG',
  ...[...variableOfKey].flatMap(([key, name]) => (key.startsWith('nats.') ? [] : name)),
]);

/** Keeps the input for the message. */
const check = (value: unknown) => configSchema.safeParse(value, { reportInput: true });

/** One line for each problem: its path, the allowed values and the found one. */
function problems(error: z.ZodError): string {
  const faults = error.issues.map((issue) => faultOf(issue, configSchema));
  const lines = faults.map(({ path, words, found, isKey }) => {
    return `  ${path.map(String).join('.') || '(top)'}: ${words}${isKey ? '' : `; found ${shown(path, found)}`}`;
  });
  return lines.join('\n');
}

/** `smos-01=zones/backup,*=tank` */
function parseAllow(text: string): { from: string; into: string }[] {
  return text
    .split(',')
    .filter((rule) => rule.trim() !== '')
    .map((rule) => {
      const [from = '', into = ''] = rule.split(/=(.*)/s, 2);
      const parsed = z
        .strictObject({ from: z.union([z.literal('*'), hostSchema]), into: datasetSchema })
        .safeParse({ from: from.trim(), into });
      if (parsed.success) return parsed.data;
      throw new ZpsendError(
        'BAD_REQUEST',
        `ZPSEND_ALLOW: "${rule}" is not HOST=DATASET (a source host or *, and the dataset below which it may write)`,
      );
    });
}

/** The OS host name as one subject token. */
const ownHost = (): string => hostname().replaceAll('.', '-');

/** The value of a variable, with the schema of its key in the file. @throws ZpsendError BAD_REQUEST */
function variable<S extends z.ZodType>(env: NodeJS.ProcessEnv, name: string, schema: S): z.output<S> | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const parsed = schema.safeParse(/^\d+(\.\d+)?$/.test(text) ? Number(text) : text);
  if (parsed.success) return parsed.data;
  throw new ZpsendError(
    'BAD_REQUEST',
    `${name}: ${parsed.error.issues.map((issue) => faultWords(faultOf(issue))).join('; ')}; found "${text}"`,
  );
}

/** The keys of a section that variables replace, with their values. @throws ZpsendError BAD_REQUEST */
function keysIn(
  env: NodeJS.ProcessEnv,
  of: string,
  keys: Readonly<Record<string, z.ZodType>>,
): Record<string, unknown> {
  const values = Object.entries(keyVariables).map(([name, [section, key]]) => {
    const schema = section === of ? keys[key] : undefined;
    return [key, schema && variable(env, name, schema)] as const;
  });
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

/** The configuration file as it was read. */
export interface FileValue {
  readonly path: string;
  readonly value: unknown;
}

/** The existing configuration file, or the named one. @throws ZpsendError BAD_REQUEST */
export function readConfigFile(env: NodeJS.ProcessEnv, paths: readonly string[] = configPaths): FileValue | undefined {
  const path = configPath(env, paths);
  return path === undefined ? undefined : { path, value: readYaml(path) };
}

/** The configuration of a file. @throws ZpsendError BAD_REQUEST naming the path, what was found and what is allowed */
function checkedConfig({ path, value }: FileValue): Config {
  const parsed = check(value);
  if (parsed.success) return parsed.data;
  throw new ZpsendError('BAD_REQUEST', `${path} is not a valid configuration:\n${problems(parsed.error)}`);
}

/** The name of this host from the environment only, if its configuration cannot be read. */
export function hostWithoutConfig(env: NodeJS.ProcessEnv): string | undefined {
  return hostSchema.safeParse(env.ZPSEND_HOST || ownHost()).data;
}

/**
 * Settings from the environment, then from the YAML file (`ZPSEND_CONFIG`, or the existing one of `paths`).
 * @throws ZpsendError BAD_REQUEST naming the path, what was found and what is allowed
 */
export const loadSettings = (env: NodeJS.ProcessEnv, paths: readonly string[] = configPaths): Settings =>
  settingsOf(readConfigFile(env, paths), env, paths[0]);

/**
 * The same of a file that was read.
 * @param standard the file to write a setting to, if there is none
 * @throws ZpsendError BAD_REQUEST naming the path, what was found and what is allowed
 */
export function settingsOf(
  found: FileValue | undefined,
  env: NodeJS.ProcessEnv,
  standard: string | undefined = configPaths[0],
): Settings {
  const path = found?.path;
  const file = found === undefined ? configSchema.parse({}) : checkedConfig(found);
  const merged = check({
    ...file,
    machineId: env.ZPSEND_MACHINE_ID || file.machineId,
    receive: {
      ...file.receive,
      ...(env.ZPSEND_ALLOW !== undefined && { allow: parseAllow(env.ZPSEND_ALLOW) }),
      ...keysIn(env, 'receive', receiveConfigSchema.shape),
    },
    send: { ...file.send, ...keysIn(env, 'send', sendConfigSchema.shape) },
    timing: { ...file.timing, ...keysIn(env, 'timing', timingConfigSchema.shape) },
  });
  if (!merged.success) throw new ZpsendError('BAD_REQUEST', `the environment is not valid:\n${problems(merged.error)}`);
  const name = env.ZPSEND_HOST || merged.data.host || ownHost();
  const host = hostSchema.safeParse(name);
  if (!host.success) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `the host name ${JSON.stringify(name)} is not one subject token (letters, digits, "_", "-"); set ZPSEND_HOST, or "host:" in ${path ?? standard}`,
    );
  }
  const { machineId } = merged.data;
  return { host: host.data, ...(machineId !== undefined && { machineId }), config: merged.data, path };
}

/** The `nats` section of the configuration file, with the path of the file; undefined without one. */
export function natsConfigOf({ config, path }: Settings): { section: NatsConfig; path: string } | undefined {
  return config.nats && path !== undefined ? { section: config.nats, path } : undefined;
}

/** How often policies run and the replication status is refreshed without a trigger, in ms. */
export const reconcileMsOf = ({ config }: Settings): number => config.send.reconcileMinutes * 60_000;

const policiesOf = (count: number): string => (count === 1 ? '1 policy' : `${count} policies`);

/** What the settings of this host allow and start, in one line for a log and for `doctor`. */
export function settingsSummary({ path, config }: Settings): string {
  const { allow, maxConcurrent } = config.receive;
  const rules = allow.map(({ from, into, conflicts }) => {
    const more = conflicts.length > 0 ? ` (${conflicts.join(', ')})` : '';
    return `${from === '*' ? 'any host' : from} into ${into}${more}`;
  });
  const receives =
    rules.length > 0 ? `${rules.join(', ')}; ${maxConcurrent} receives at once` : 'no host may write here';
  const { policies } = config.send;
  return `${path ?? 'no file'}: ${receives}${policies.length > 0 ? `; ${policiesOf(policies.length)}` : ''}`;
}
