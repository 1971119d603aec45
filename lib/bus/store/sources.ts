import { jetstreamManager } from '@nats-io/jetstream';
import { hostSchema } from '../../../schemas/names.ts';
import { streamsBucket } from '../subjects.ts';
import type { Connected } from './bucket.ts';

const prefix = `OBJ_${streamsBucket('')}`;

/** Every host that keeps streams in the store, as far as this connection may see them. */
export async function sourcesOf({ nc }: Connected): Promise<string[]> {
  const jsm = await jetstreamManager(nc, { timeout: 4000, checkAPI: false });
  const found: string[] = [];
  for await (const name of jsm.streams.names('$O.*.M.>')) {
    const host = name.startsWith(prefix) ? hostSchema.safeParse(name.slice(prefix.length)).data : undefined;
    if (host !== undefined) found.push(host);
  }
  return found.sort();
}
