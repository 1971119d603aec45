import type { Bus } from '../../lib/bus/connection/connect.ts';
import { readStatus } from '../../lib/bus/status/read.ts';
import { names, rulesFor } from '../../lib/settings/send-allow.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Config } from '../../schemas/config.ts';
import type { DigestStart } from '../../schemas/digest.ts';
import { type Reason, ZpsendError } from '../../schemas/errors.ts';
import { datasetOf, isWithin } from '../../schemas/names.ts';
import type { CurrentSettings } from './current-settings.ts';
import type { Log } from './log.ts';

/** The rules for other hosts in this host's configuration: who may write here, and which datasets are sent to whom. */
export interface AskerRules {
  readonly receive: Pick<Config['receive'], 'allow'>;
  readonly send: Pick<Config['send'], 'allow'>;
}

/** The part of a dataset's contents that a host may know; `encrypted`: only the facts that a raw stream of it shows. */
export type Share = 'all' | 'encrypted' | 'nothing';

/**
 * The asker's share by the configuration alone: it may write there, or the rules of `send.allow` send the dataset there.
 * @returns undefined if the configuration does not decide, since it has no `send.allow`
 */
export function shareOf({ receive, send }: AskerRules, asker: string, dataset: string): Share | undefined {
  if (receive.allow.some(({ from, into }) => (from === '*' || from === asker) && isWithin(dataset, into))) return 'all';
  if (!send.allow) return undefined;
  const rules = rulesFor(send.allow, dataset).filter((rule) => names(rule, asker));
  if (rules.length === 0) return 'nothing';
  return rules.some(({ raw }) => raw === 'any') ? 'all' : 'encrypted';
}

/** The deps of endpoints that answer other hosts only about datasets that concern them. */
export interface AskedDeps {
  readonly host: string;
  readonly instance: string;
  readonly bus: Bus;
  readonly zfs: Zfs;
  readonly log: Log;
  readonly clock: Clock;
  readonly settings: CurrentSettings;
}

export interface AskerDeps {
  readonly bus: Bus;
  readonly host: string;
  readonly zfs: Pick<Zfs, 'list'>;
  readonly rules: AskerRules;
}

/** Datasets that a host has sent or stored for another, as `zfs-status` has it under its own name; none where it cannot be read. */
export async function sentTo(bus: Bus, host: string, asker: string): Promise<string[]> {
  const rows = await readStatus(bus, host, asker).catch(() => undefined);
  return rows?.found.flatMap(({ dataset, entry }) => (entry.sent || entry.stored ? [dataset] : [])) ?? [];
}

/**
 * May the asking host have that digest? As the source or a target of the dataset, as far as it may have its contents. Without `send.allow`
 * `zfs-status` shows what was sent to it, under this host's own name.
 * @throws ZpsendError NOT_ALLOWED if it may not, or if that is unknown
 */
export async function checkAskerOf(
  { bus, host, zfs, rules }: AskerDeps,
  asker: string,
  { snapshot, raw = false }: DigestStart,
): Promise<void> {
  const dataset = datasetOf(snapshot);
  const refused = (reason: Reason<'NOT_ALLOWED'>, why: string): ZpsendError =>
    new ZpsendError(
      'NOT_ALLOWED',
      `${asker} may not have a digest of ${dataset} on ${host}: ${why}. ` +
        'An administrator asks as himself, without the inbox prefix of a host',
      { asker, dataset, reason },
    );
  const share = shareOf(rules, asker, dataset);
  if (share === 'all') return;
  const noPlace = 'its receive.allow does not let that host write to it';
  if (share === 'nothing') throw refused('not-sent', `${noPlace}, and its send.allow does not send it there`);
  if (share === 'encrypted') {
    if (!raw)
      throw refused(
        'raw-required',
        'its send.allow has raw: required for it, and only a raw digest shows nothing more',
      );
    const [entry] = await zfs.list({ dataset });
    if (entry && entry.encryption !== 'off') return;
    throw refused('not-encrypted', 'its send.allow has raw: required for it, and it is not encrypted');
  }
  if ((await sentTo(bus, host, asker)).includes(dataset)) return;
  throw refused('not-sent', `${noPlace}, and it was never sent there`);
}
