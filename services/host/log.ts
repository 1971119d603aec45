import { pino } from 'pino';
import { type Code, ZpsendError } from '../../schemas/errors.ts';
import type { LogEvent } from '../../schemas/log-event.ts';
import type { Note } from '../../schemas/plan.ts';

/** The fields of a line about one job: the same names in the logs of both services. */
export interface LogFields {
  readonly job?: string;
  readonly transfer?: string;
  /** The host that sends. */
  readonly source?: string;
  /** On the source. */
  readonly dataset?: string;
  /** `POOL/DATASET@SNAPSHOT` on the source. */
  readonly snapshot?: string;
  /** `HOST:DATASET` */
  readonly target?: string;
  /** Of the error that the line reports. */
  readonly code?: Code | undefined;
  /** A policy, or where one leads: `NAME to HOST:DATASET`. */
  readonly policy?: string;
  readonly policies?: readonly string[];
  readonly instance?: string;
  /** Paths of settings, or environment variables. */
  readonly settings?: readonly string[];
  /** The kind of a note of a plan. */
  readonly note?: Note['kind'];
  /** The snapshots that are destroyed on the target. */
  readonly snapshots?: readonly string[];
  /** A parent that is created for the received dataset. */
  readonly parent?: string;
}

/** Part of the words of a line for people already. */
const inWords = new Set([
  'event',
  'code',
  'transfer',
  'source',
  'policy',
  'policies',
  'instance',
  'settings',
  'note',
  'snapshots',
  'parent',
]);

type Write = (event: LogEvent, words: string, fields?: LogFields) => void;

/** One line at a time: its event, a message for people, and its fields. */
export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** The same with fields in every line. */
  child(fields: LogFields): Log;
}

/** The same lines from a logger of pino's. */
export function logOf(logger: pino.Logger): Log {
  const write = (level: 'debug' | 'info' | 'warn' | 'error'): Write => {
    return (event, words, fields) => logger[level]({ event, ...fields }, words);
  };
  const [debug, info, warn, error] = [write('debug'), write('info'), write('warn'), write('error')];
  return { debug, info, warn, error, child: (fields) => logOf(logger.child(fields)) };
}

const labels: Record<number, string> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are shown as `?`
const harmless = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');

/** The job's fields that the message does not name. */
function about({ job, dataset, snapshot = dataset, target }: LogFields, words: string, hostname: string): string {
  const [host = '', place = ''] = target?.split(/:(.*)/s, 2) ?? [];
  const isSaid = snapshot && words.includes(snapshot) && words.includes(host === hostname ? place : host);
  const whose = snapshot === undefined || isSaid ? [] : [`${snapshot}${target ? ` to ${target}` : ''}`];
  const all = [...whose, ...(job === undefined ? [] : [`job ${job}`])];
  return all.length > 0 ? ` (${all.join(', ')})` : '';
}

/** A line for a person: `[time]  INFO: zpsend/11918 on smos-01: an initial seed needed`. */
export function lineForPeople(json: string): string {
  const { level, time, name, pid, hostname, msg, ...more } = JSON.parse(json);
  const { job, dataset, snapshot, target, ...others } = more;
  const words = String(msg ?? '');
  const whose = about({ job, dataset, snapshot, target }, words, hostname);
  const rest = Object.entries(others).filter(([field]) => !inWords.has(field));
  const extra = rest.length > 0 ? ` ${JSON.stringify(Object.fromEntries(rest))}` : '';
  const label = (labels[level] ?? String(level)).padStart(5);
  return `[${new Date(time).toISOString()}] ${label}: ${name}/${pid} on ${hostname}: ${harmless(words + whose)}${extra}\n`;
}

const refused = (variable: string, found: string, allowed: string): ZpsendError =>
  new ZpsendError('BAD_REQUEST', `${variable}: "${found}" is not one of ${allowed}`);

/**
 * The log of one service on standard error: JSON lines, or lines for people on a terminal (ZPSEND_LOG=json|people).
 * ZPSEND_LOG_LEVEL is pino's level; default info.
 * @throws ZpsendError BAD_REQUEST for anything else
 */
export function openLog(host: string, env: NodeJS.ProcessEnv): Log {
  const { ZPSEND_LOG: form = '' } = env;
  const level = env.ZPSEND_LOG_LEVEL || 'info';
  if (!['', 'json', 'people'].includes(form)) throw refused('ZPSEND_LOG', form, 'json, people');
  if (!(level in pino.levels.values))
    throw refused('ZPSEND_LOG_LEVEL', level, Object.keys(pino.levels.values).join(', '));
  const people = form ? form === 'people' : Boolean(process.stderr.isTTY);
  const destination = {
    write: (line: string) => {
      process.stderr.write(people ? lineForPeople(line) : line);
    },
  };
  return logOf(pino({ name: 'zpsend', level, base: { pid: process.pid, hostname: host } }, destination));
}
