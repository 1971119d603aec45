import { pino } from 'pino';
import { ZpsendError } from '../../schemas/errors.ts';

export type Log = pino.Logger;

const labels: Record<number, string> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };

// biome-ignore lint/suspicious/noControlCharactersInRegex: what could steer a terminal is shown as `?`
const harmless = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');

/** A line for a person: `[time]  INFO: zpsend/11918 on smos-01: an initial seed needed`. */
export function lineForPeople(json: string): string {
  const { level, time, name, pid, hostname, msg, ...rest } = JSON.parse(json);
  const extra = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : '';
  const label = (labels[level] ?? String(level)).padStart(5);
  return `[${new Date(time).toISOString()}] ${label}: ${name}/${pid} on ${hostname}: ${harmless(String(msg ?? ''))}${extra}\n`;
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
