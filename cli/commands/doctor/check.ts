import type { Check } from '../../../schemas/output.ts';

export const good = (what: string, found: string): Check => ({ what, result: 'good', found });
export const note = (what: string, found: string, remedy: string): Check => ({ what, result: 'note', found, remedy });
export const bad = (what: string, found: string, remedy: string): Check => ({ what, result: 'bad', found, remedy });

/** What to do where the server lets this user do less than this host needs: never more than that. */
export const permissionsRemedy = (host: string): string =>
  `on the NATS server give the user of ${host} exactly what "zpsend deploy permissions ${host}" prints`;
