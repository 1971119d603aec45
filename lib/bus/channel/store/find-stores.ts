import { hostSchema } from '../../../../schemas/names.ts';
import { tooMuch } from '../../bounds.ts';
import { type JetStreamAt, managerOf } from '../../jetstream/jetstream.ts';
import { streamsBucket } from '../../subjects.ts';

const prefix = `OBJ_${streamsBucket('')}`;
const timeout = 4000;

/** Hosts whose stores are listed at most. */
const mostSources = 10_000;

/** Every host with a store there, as far as this connection may see them. @throws ZpsendError TOO_MUCH */
export async function sourcesOf(at: JetStreamAt): Promise<string[]> {
  const found: string[] = [];
  for await (const name of (await managerOf(at, timeout)).streams.names('$O.*.M.>')) {
    const host = name.startsWith(prefix) ? hostSchema.safeParse(name.slice(prefix.length)).data : undefined;
    if (host !== undefined) found.push(host);
    if (found.length > mostSources) throw tooMuch('the list of stores', 'sources', mostSources);
  }
  return found.sort();
}

/** The JetStream domain of the server connected to; undefined where it has none. */
export async function ownDomain(at: JetStreamAt): Promise<string | undefined> {
  const { domain } = await (await managerOf(at, timeout)).getAccountInfo();
  return domain || undefined;
}
