import type { Bus } from '../../lib/bus/connect.ts';
import { readStatus } from '../../lib/bus/status/read.ts';
import type { Config } from '../../schemas/config.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { isWithin } from '../../schemas/names.ts';

/** What this host's configuration says of others: who may write here, and what is sent to whom. */
export interface AskerRules {
  readonly receive: Pick<Config['receive'], 'allow'>;
  readonly send: Pick<Config['send'], 'allow'>;
}

/** By its configuration alone: may the asker write to the dataset, or is it sent there? */
export const isConcerned = ({ receive, send }: AskerRules, asker: string, dataset: string): boolean =>
  receive.allow.some(({ from, into }) => (from === '*' || from === asker) && isWithin(dataset, into)) ||
  (send.allow ?? []).some(({ dataset: root, to }) => (to === '*' || to === asker) && isWithin(dataset, root));

/**
 * Is the asking host the source or a target of this dataset? What was sent to it, `zfs-status` tells, under this host's own name.
 * @throws ZpsendError NOT_ALLOWED where it is neither, or nobody can say
 */
export async function checkAskerOf(
  { bus, host, rules }: { bus: Bus; host: string; rules: AskerRules },
  asker: string,
  dataset: string,
): Promise<void> {
  if (isConcerned(rules, asker, dataset)) return;
  const rows = await readStatus(bus, host, asker).catch(() => undefined);
  if (rows?.found.some((row) => row.dataset === dataset)) return;
  throw new ZpsendError(
    'NOT_ALLOWED',
    `${asker} is neither source nor target of ${dataset} on ${host}: its receive.allow gives that host no place above it, and it was never sent there. ` +
      'An administrator asks as himself, without the inbox prefix of a host',
    { asker, dataset },
  );
}
