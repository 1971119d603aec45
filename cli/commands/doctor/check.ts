import type { Check } from '../../../schemas/output.ts';

export const good = (what: string, found: string): Check => ({ what, result: 'good', found });
export const note = (what: string, found: string, remedy: string): Check => ({ what, result: 'note', found, remedy });
export const bad = (what: string, found: string, remedy: string): Check => ({ what, result: 'bad', found, remedy });

/** The remedy for missing permissions: exactly what the host needs, and no more. */
export const permissionsRemedy = (host: string): string =>
  `give the NATS user of ${host} exactly what zpsend deploy permissions ${host} prints`;
