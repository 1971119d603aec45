import type { FoundNats } from '../../lib/bus/connection/find-nats.ts';
import type { Part } from '../../lib/bus/connection/nats-settings.ts';
import { identityOf } from '../../lib/bus/connection/options.ts';

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
