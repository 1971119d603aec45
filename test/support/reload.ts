import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { LogEvent } from '../../schemas/log-event.ts';
import type { LogFields } from '../../services/host/log.ts';
import type { ServiceProcess } from './service.ts';

const events = ['settings.changed', 'settings.unchanged', 'settings.refused', 'settings.need-restart'] as const;

/** A line about a reload: its event and the named settings, or its code. */
type Reported = Pick<LogFields, 'settings' | 'code'> & { readonly event: LogEvent };

/**
 * Writes the configuration of a service, and lets it read that.
 * @param text undefined leaves the file as it is
 * @returns what the service logs about that
 */
export async function reload(
  service: ServiceProcess,
  { ZPSEND_CONFIG: file }: { ZPSEND_CONFIG: string },
  text?: string,
): Promise<Reported[]> {
  const all = (): Reported[] =>
    service.log
      .filter((line) => line.includes('"event":"settings.'))
      .map((line) => JSON.parse(line))
      .filter(({ event }) => events.includes(event))
      .map(({ event, settings, code }) => ({ event, ...(settings && { settings }), ...(code && { code }) }));
  if (text !== undefined) writeFileSync(file, text);
  const before = all().length;
  process.kill(service.pid, 'SIGHUP');
  await expect.poll(() => all().length, { timeout: 30_000 }).toBeGreaterThan(before);
  return all().slice(before);
}
