import { hostname } from 'node:os';
import { z } from 'zod';
import {
  type Config,
  configSchema,
  receiveConfigSchema,
  sendConfigSchema,
  timingConfigSchema,
} from '../../schemas/config.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { faultOf, faultWords } from '../../schemas/issue-words.ts';
import { datasetSchema, hostSchema } from '../../schemas/names.ts';
import { configPath, configPlaces, readYaml, shown } from './config-file.ts';

/** Everything a service is told, checked before anything starts. */
export interface Settings {
  readonly host: string;
  /** In place of the machine's own id. */
  readonly machineId?: string;
  readonly config: Config;
  /** The configuration file; undefined where there is none. */
  readonly path: string | undefined;
}

/** What a configuration has to be; the input is kept for the message. */
const check = (value: unknown) => configSchema.safeParse(value, { reportInput: true });

/** Every problem on a line of its own: where it is, what is allowed and what was found. */
function problems(error: z.ZodError): string {
  const lines = error.issues.map(faultOf).map(({ path, words, found }) => {
    return `  ${path.map(String).join('.') || '(top)'}: ${words}; found ${shown(path, found)}`;
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
        `ZPSEND_ALLOW: "${rule}" is not HOST=DATASET (a source host or *, and the dataset it may write below)`,
      );
    });
}

/** The OS host name as one subject token. */
const ownHost = (): string => hostname().replaceAll('.', '-');

/** A variable as its key in the file has it. @throws ZpsendError BAD_REQUEST */
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

/** The configuration of a file. @throws ZpsendError BAD_REQUEST naming the path, what was found and what is allowed */
function readConfig(path: string): Config {
  const parsed = check(readYaml(path));
  if (parsed.success) return parsed.data;
  throw new ZpsendError('BAD_REQUEST', `${path} is not a valid configuration:\n${problems(parsed.error)}`);
}

/** The name of this host as the environment alone tells it: what is left where its configuration cannot be read. */
export function hostWithoutConfig(env: NodeJS.ProcessEnv): string | undefined {
  return hostSchema.safeParse(env.ZPSEND_HOST || ownHost()).data;
}

/**
 * Settings from the environment first, then the YAML file (`ZPSEND_CONFIG`, else the one of `places` that exists).
 * @throws ZpsendError BAD_REQUEST naming the path, what was found and what is allowed
 */
export function loadSettings(env: NodeJS.ProcessEnv, places: readonly string[] = configPlaces): Settings {
  const path = configPath(env, places);
  const file = path === undefined ? configSchema.parse({}) : readConfig(path);
  const { shape: receive } = receiveConfigSchema;
  const { shape: send } = sendConfigSchema;
  const { shape: timing } = timingConfigSchema;
  const merged = check({
    ...file,
    machineId: env.ZPSEND_MACHINE_ID || file.machineId,
    receive: {
      ...file.receive,
      ...(env.ZPSEND_ALLOW !== undefined && { allow: parseAllow(env.ZPSEND_ALLOW) }),
      maxConcurrent: variable(env, 'ZPSEND_MAX_CONCURRENT', receive.maxConcurrent) ?? file.receive.maxConcurrent,
      bwlimit: variable(env, 'ZPSEND_BWLIMIT', receive.bwlimit) ?? file.receive.bwlimit,
      holdNewest: variable(env, 'ZPSEND_HOLD_NEWEST', receive.holdNewest) ?? file.receive.holdNewest,
    },
    send: {
      ...file.send,
      parallel: variable(env, 'ZPSEND_PARALLEL', send.parallel) ?? file.send.parallel,
      bookmarks: variable(env, 'ZPSEND_BOOKMARKS', send.bookmarks) ?? file.send.bookmarks,
    },
    timing: {
      lockSeconds: variable(env, 'ZPSEND_LOCK_SECONDS', timing.lockSeconds) ?? file.timing.lockSeconds,
      silenceSeconds: variable(env, 'ZPSEND_SILENCE_SECONDS', timing.silenceSeconds) ?? file.timing.silenceSeconds,
      patienceSeconds: variable(env, 'ZPSEND_PATIENCE_SECONDS', timing.patienceSeconds) ?? file.timing.patienceSeconds,
    },
  });
  if (!merged.success) throw new ZpsendError('BAD_REQUEST', `the environment is not valid:\n${problems(merged.error)}`);
  const name = env.ZPSEND_HOST || merged.data.host || ownHost();
  const host = hostSchema.safeParse(name);
  if (!host.success) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `the host name ${JSON.stringify(name)} is not one subject token (letters, digits, "_", "-"); set ZPSEND_HOST, or "host:" in ${path ?? places[0]}`,
    );
  }
  const { machineId } = merged.data;
  return { host: host.data, ...(machineId !== undefined && { machineId }), config: merged.data, path };
}
