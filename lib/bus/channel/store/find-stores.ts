import { hostSchema } from '../../../../schemas/names.ts';
import { tooMuch } from '../../bounds.ts';
import { type JetStreamAt, managerOf } from '../../jetstream/jetstream.ts';
import { streamsBucket } from '../../subjects.ts';

const prefix = `OBJ_${streamsBucket('')}`;
/** Of each request, in milliseconds. */
const timeout = 4000;

/** The most stores that are listed. */
const mostSources = 10_000;

/** The hosts whose stores this connection may list. @throws ZpsendError TOO_MUCH */
export async function sourcesOf(at: JetStreamAt): Promise<string[]> {
  const found: string[] = [];
  for await (const name of (await managerOf(at, timeout)).streams.names('$O.*.M.>')) {
    const host = name.startsWith(prefix) ? hostSchema.safeParse(name.slice(prefix.length)).data : undefined;
    if (host !== undefined) found.push(host);
    if (found.length > mostSources) throw tooMuch('the list of stores', 'sources', mostSources);
  }
  return found.sort();
}
