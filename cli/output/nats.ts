import type { FoundNats } from '../../lib/bus/connection/find-nats.ts';
import { type NatsSettings, type Part, parts } from '../../lib/bus/connection/nats-settings.ts';
import { identityOf } from '../../lib/bus/connection/options.ts';
import type { SettingRow } from '../../lib/settings/effective.ts';
import { variableOfKey } from '../../schemas/environment.ts';

const namesOf: Partial<Record<Part, string>> = {
  certificate: 'client certificate',
  ca: 'CA',
  tlsFirst: 'TLS first',
  inboxPrefix: 'inbox prefix',
};

/** The NATS server and this user, each with its source; without secrets. */
export function natsInWords({ settings, sources }: FoundNats): string {
  const identity = identityOf(settings);
  const words = [
    `${settings.url} (${sources.server})`,
    identity ? `as ${identity.words} (${sources.identity})` : 'without credentials',
    ...Object.entries(namesOf).flatMap(([part, name]) => {
      const source = sources[part as Part];
      return source === undefined ? [] : [`${name} (${source})`];
    }),
  ];
  return words.join(', ');
}

/** What a file of a key, or a secret, may be shown as. */
const shownValue = (field: string, value: unknown): unknown => {
  if (['password', 'token', 'jwt', 'seed'].includes(field)) return '(set)';
  // a seed may stand where its file is expected
  if (['creds', 'nkey'].includes(field) && !/^[~./]/.test(String(value))) return '(set)';
  return value;
};

/**
 * The set values of the connection, with their sources; without secrets.
 * @param variables the source of the environment's values
 */
export function natsRows(
  { settings, sources }: Pick<FoundNats, 'settings' | 'sources'>,
  { env, variables, file }: { env: NodeJS.ProcessEnv; variables: string; file: string | undefined },
): SettingRow[] {
  return Object.entries(parts).flatMap(([part, fields]) => {
    const source = sources[part as Part];
    return fields.flatMap((field): SettingRow[] => {
      const value = settings[field];
      if (value === undefined || source === undefined) return [];
      const from = source === variables ? variableOf(field, env) : source === file ? `file ${file}` : source;
      return [{ key: `nats.${field}`, value: shownValue(field, value), source: from }];
    });
  });
}

/** A user may stand in the URL. */
function variableOf(field: keyof NatsSettings, env: NodeJS.ProcessEnv): string {
  const name = variableOfKey.get(`nats.${field}`);
  return name !== undefined && env[name] ? name : 'NATS_URL';
}
