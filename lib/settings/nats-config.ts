import type { NatsConfig } from '../../schemas/nats.ts';
import type { Settings } from './settings.ts';

/** What the configuration file says of NATS, and which file that is; undefined where it says nothing. */
export function natsConfigOf({ config, path }: Settings): { section: NatsConfig; path: string } | undefined {
  return config.nats && path !== undefined ? { section: config.nats, path } : undefined;
}
