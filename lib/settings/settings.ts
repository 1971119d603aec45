import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Config, configSchema } from '../../schemas/config.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { datasetSchema, hostSchema } from '../../schemas/names.ts';

/** Everything a service is told, checked before anything starts. */
export interface Settings {
  readonly host: string;
  readonly config: Config;
}

const defaultPath = '/etc/zpsend.yaml';

function readFile(path: string, required: boolean): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && !required) return {};
    throw new ZpsendError('BAD_REQUEST', `cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
  try {
    return parse(text) ?? {};
  } catch (error) {
    throw new ZpsendError('BAD_REQUEST', `${path} is not YAML: ${error instanceof Error ? error.message : error}`);
  }
}

/** What a configuration has to be; the input is kept for the message. */
const check = (value: unknown) => configSchema.safeParse(value, { reportInput: true });

const wordsOf = (issue: z.core.$ZodIssue): string =>
  issue.code === 'invalid_union' ? issue.errors.flat().map(wordsOf).join(', or ') : issue.message;

/** Every problem on a line of its own: where it is, what is allowed and what was found. */
function problems(error: z.ZodError): string {
  const lines = error.issues.map((issue) => {
    const found = issue.input === undefined ? 'nothing' : JSON.stringify(issue.input).slice(0, 200);
    return `  ${issue.path.map(String).join('.') || '(top)'}: ${wordsOf(issue)}; found ${found}`;
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

function number(env: NodeJS.ProcessEnv, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new ZpsendError('BAD_REQUEST', `${name}: "${text}" is not a number`);
}

function flag(env: NodeJS.ProcessEnv, name: string): boolean | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  if (text === 'on' || text === 'off') return text === 'on';
  throw new ZpsendError('BAD_REQUEST', `${name}: "${text}" is neither on nor off`);
}

/**
 * Settings from the environment first, then the YAML file (`ZPSEND_CONFIG`, else /etc/zpsend.yaml where it exists).
 * @throws ZpsendError BAD_REQUEST naming the path, what was found and what is allowed
 */
export function loadSettings(env: NodeJS.ProcessEnv): Settings {
  const path = env.ZPSEND_CONFIG || defaultPath;
  const parsed = check(readFile(path, Boolean(env.ZPSEND_CONFIG)));
  if (!parsed.success)
    throw new ZpsendError('BAD_REQUEST', `${path} is not a valid configuration:\n${problems(parsed.error)}`);
  const file = parsed.data;
  const merged = check({
    ...file,
    receive: {
      ...file.receive,
      ...(env.ZPSEND_ALLOW !== undefined && { allow: parseAllow(env.ZPSEND_ALLOW) }),
      maxConcurrent: number(env, 'ZPSEND_MAX_CONCURRENT') ?? file.receive.maxConcurrent,
      bwlimit: number(env, 'ZPSEND_BWLIMIT') ?? file.receive.bwlimit,
      holdNewest: flag(env, 'ZPSEND_HOLD_NEWEST') ?? file.receive.holdNewest,
    },
    send: {
      ...file.send,
      parallel: number(env, 'ZPSEND_PARALLEL') ?? file.send.parallel,
      bookmarks: flag(env, 'ZPSEND_BOOKMARKS') ?? file.send.bookmarks,
    },
    timing: {
      lockSeconds: number(env, 'ZPSEND_LOCK_SECONDS') ?? file.timing.lockSeconds,
      silenceSeconds: number(env, 'ZPSEND_SILENCE_SECONDS') ?? file.timing.silenceSeconds,
      patienceSeconds: number(env, 'ZPSEND_PATIENCE_SECONDS') ?? file.timing.patienceSeconds,
    },
  });
  if (!merged.success) throw new ZpsendError('BAD_REQUEST', `the environment is not valid:\n${problems(merged.error)}`);
  const name = env.ZPSEND_HOST || merged.data.host || ownHost();
  const host = hostSchema.safeParse(name);
  if (!host.success) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `the host name ${JSON.stringify(name)} is not one subject token (letters, digits, "_", "-"); set ZPSEND_HOST, or "host:" in ${path}`,
    );
  }
  return { host: host.data, config: merged.data };
}
