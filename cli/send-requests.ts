import type { SendRequest } from '../schemas/plan.ts';
import { usage } from './exit.ts';
import { parseBase, parseSource, parseTarget } from './location.ts';

export interface SendOptions {
  from?: string;
  full?: true;
}

/** What `send` and `plan` were asked for: one request per target, all from one source host. */
export interface Asked {
  host: string;
  requests: SendRequest[];
}

/** @throws ZpsendError BAD_REQUEST for names that cannot be, flags that conflict, or a target given twice */
export function askedFor(source: string, targets: readonly string[], options: SendOptions, thisHost: string): Asked {
  const { host, dataset } = parseSource(source, thisHost);
  const { from, full } = options;
  if (full && from !== undefined) throw usage('--full and -i exclude each other: a full stream has no base');
  if ((full || from !== undefined) && !dataset.includes('@')) {
    throw usage(`${full ? '--full' : '-i'} sends one snapshot: name it, as in ${source}@snapshot`);
  }
  const base = from === undefined ? undefined : parseBase(from, dataset);
  const requests = targets.map((target) => ({
    dataset,
    to: parseTarget(target, thisHost),
    ...(base !== undefined && { from: base }),
    ...(full && { full }),
  }));
  const places = requests.map(({ to }) => `${to.host}:${to.dataset ?? ''}`);
  const twice = targets.find((_, at) => places.indexOf(places[at] ?? '') !== at);
  if (twice !== undefined) throw usage(`the target ${twice} is given twice`);
  return { host, requests };
}
