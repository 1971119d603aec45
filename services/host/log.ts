import { pino } from 'pino';
import { ZpsendError } from '../../schemas/errors.ts';

export type Log = pino.Logger;

/** What a line is about, where it is about one job: the same names in the logs of both services. */
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
}

const labels: Record<number, string> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };

// biome-ignore lint/suspicious/noControlCharactersInRegex: what could steer a terminal is shown as `?`
const harmless = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');

/** Whose line it is, as far as its words do not say so. */
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
  const { job, transfer: _, source: __, dataset, snapshot, target, ...rest } = more;
  const words = String(msg ?? '');
  const whose = about({ job, dataset, snapshot, target }, words, hostname);
  const extra = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : '';
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
  const { ZPSEND_LOG: form = '', ZPSEND_LOG_LEVEL: level = 'info' } = env;
  if (!['', 'json', 'people'].includes(form)) throw refused('ZPSEND_LOG', form, 'json, people');
  if (!(level in pino.levels.values))
    throw refused('ZPSEND_LOG_LEVEL', level, Object.keys(pino.levels.values).join(', '));
  const people = form ? form === 'people' : Boolean(process.stderr.isTTY);
  const destination = {
    write: (line: string) => {
      process.stderr.write(people ? lineForPeople(line) : line);
    },
  };
  return pino({ name: 'zpsend', level, base: { pid: process.pid, hostname: host } }, destination);
}
