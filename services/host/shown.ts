import { asideOf } from '../../lib/plan/aside.ts';
import { names as namesTarget } from '../../lib/settings/send-allow.ts';
import type { SnapshotsRequest } from '../../schemas/host.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import { datasetOf, isWithin, parentOf } from '../../schemas/names.ts';
import { type AskerRules, shareOf } from './askers.ts';

/** Which of a host's datasets another host may see. */
export interface Shown {
  /** With its snapshots, bookmarks and partial state. */
  sees(dataset: string): boolean;
  /** Does something that it may see lie here or below? Such a dataset is shown without its contents. */
  leadsTo(dataset: string): boolean;
}

/** Where an asking host may write. */
const placesFor = ({ receive }: AskerRules, asker: string): string[] =>
  receive.allow.filter(({ from }) => from === '*' || from === asker).map(({ into }) => into);

/** Do the places where it may write cover all that is asked? Then nothing else has to be known. */
export const isInPlace = (rules: AskerRules, asker: string, { dataset }: SnapshotsRequest): boolean =>
  dataset !== undefined && placesFor(rules, asker).some((place) => isWithin(dataset, place));

/**
 * A host sees where it may write, and what is sent to it: by `send.allow`, and where there is none by what was sent before.
 * @param sent datasets that were sent to it
 */
export function shownTo(asker: string, rules: AskerRules, sent: readonly string[]): Shown {
  const bySend = rules.send.allow
    ? rules.send.allow.filter((rule) => namesTarget(rule, asker)).map(({ dataset }) => dataset)
    : sent;
  const were = new Set(sent);
  const may = (dataset: string): boolean => {
    const share = shareOf(rules, asker, dataset);
    return share === undefined ? were.has(dataset) : share !== 'nothing';
  };
  const above = new Set<string>();
  for (const place of [...placesFor(rules, asker), ...bySend])
    for (let name: string | undefined = place; name !== undefined; name = parentOf(name)) above.add(name);
  return {
    // what was renamed out of the way of a replica is its own too
    sees: (dataset) => may(dataset) || may(asideOf(dataset) ?? dataset),
    leadsTo: (dataset) => above.has(dataset),
  };
}

/** May a host ask for that at all? */
export const mayAsk = ({ sees, leadsTo }: Shown, { dataset }: SnapshotsRequest): boolean =>
  dataset === undefined || sees(dataset) || leadsTo(dataset);

/** An entry without what is in the dataset. Whether it is a clone shows only where its origin does. */
function bare({ resumeToken: _, rolledBack: __, origin, ...entry }: DatasetEntry, { sees }: Shown): DatasetEntry {
  const isKnown = origin !== undefined && sees(datasetOf(origin.name));
  return { ...entry, snapshots: [], bookmarks: [], withheld: true, ...(isKnown && { origin }) };
}

/** A clone of what it may see, or one whose key that holds: a change of the other one touches it. */
const dependsOnSeen = ({ name, origin, encryptionRoot }: DatasetEntry, { sees }: Shown): boolean =>
  (origin !== undefined && sees(datasetOf(origin.name))) ||
  (encryptionRoot !== undefined && encryptionRoot !== name && sees(encryptionRoot));

/** What a host is shown of a listing; what leads to that, or hangs on it, without its contents. */
export const showing = (entries: readonly DatasetEntry[], shown: Shown): DatasetEntry[] =>
  entries.flatMap((entry) => {
    if (shown.sees(entry.name)) return [entry];
    return shown.leadsTo(entry.name) || dependsOnSeen(entry, shown) ? [bare(entry, shown)] : [];
  });
