import { originalNameOf } from '../../lib/plan/match/rotated-name.ts';
import { keyHolder } from '../../lib/plan/placement/key-wrapping.ts';
import { names as namesTarget, rulesFor } from '../../lib/settings/send-allow.ts';
import type { SnapshotsRequest } from '../../schemas/host.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import { datasetOf, isWithin, parentOf } from '../../schemas/names.ts';
import { type AskerRules, type Share, shareOf } from './ask-rules.ts';

/** Which of a host's datasets another host may see. */
export interface Shown {
  /** The part that it may see of a dataset's snapshots, bookmarks and partial state. */
  shareOf(dataset: string): Share;
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
 * A host sees the datasets that it may write, and those sent to it: by `send.allow`, and without that by earlier sends.
 * @param sent datasets that were sent to it
 */
export function shownTo(asker: string, rules: AskerRules, sent: readonly string[]): Shown {
  const places = placesFor(rules, asker);
  const bySend = rules.send.allow
    ? rules.send.allow.filter((rule) => namesTarget(rule, asker)).map(({ dataset }) => dataset)
    : sent;
  const were = new Set(sent);
  /** Siblings of a replica at a rule's own dataset that were rotated for it; they belong to it too. */
  const isRotated = (dataset: string): boolean =>
    parentOf(dataset) !== undefined &&
    places.includes(originalNameOf(dataset) ?? '') &&
    rulesFor(rules.send.allow ?? [], dataset).length === 0;
  const above = new Set<string>();
  for (const place of [...places, ...bySend])
    for (let name: string | undefined = place; name !== undefined; name = parentOf(name)) above.add(name);
  return {
    shareOf(dataset) {
      if (isRotated(dataset)) return 'all';
      return shareOf(rules, asker, dataset) ?? (were.has(dataset) ? 'all' : 'nothing');
    },
    leadsTo: (dataset) => above.has(dataset),
  };
}

/** May a host ask for that at all? */
export const mayAsk = ({ shareOf: share, leadsTo }: Shown, { dataset }: SnapshotsRequest): boolean =>
  dataset === undefined || share(dataset) !== 'nothing' || leadsTo(dataset);

/** An entry without the dataset's contents. */
function bare({ resumeToken: _, rolledBack: __, origin, ...entry }: DatasetEntry, keepsOrigin: boolean): DatasetEntry {
  return { ...entry, snapshots: [], bookmarks: [], withheld: true, ...(origin && keepsOrigin && { origin }) };
}

/**
 * Datasets whose key changes with a shown one's key: all clones of a family share one wrapped key, and others take theirs from it. A plan
 * that did not see them would lock them out.
 */
function keyRelatives(entries: readonly DatasetEntry[], isSeen: (entry: DatasetEntry) => boolean) {
  const listed = new Map(entries.map((entry) => [entry.name, entry]));
  const holders = new Set(entries.filter(isSeen).map(({ name }) => keyHolder(name, listed)));
  const isFamily = (name: string): boolean => holders.has(keyHolder(name, listed));
  const roots = new Set(entries.flatMap(({ name, encryptionRoot }) => (isFamily(name) ? (encryptionRoot ?? []) : [])));
  return {
    isFamily: ({ name, encryptionRoot }: DatasetEntry): boolean => encryptionRoot !== undefined && isFamily(name),
    isRelated: ({ name, encryptionRoot }: DatasetEntry): boolean =>
      encryptionRoot !== undefined && (isFamily(name) || isFamily(encryptionRoot) || roots.has(name)),
  };
}

/**
 * The part of a listing that a host is shown: its own datasets; and without their contents their parents, their dependents, and datasets
 * requested by name, which would otherwise look missing.
 */
export function showing(entries: readonly DatasetEntry[], shown: Shown, asked?: string): DatasetEntry[] {
  const isSeen = ({ name, encryption }: DatasetEntry): boolean => {
    const share = shown.shareOf(name);
    return share === 'all' || (share === 'encrypted' && encryption !== 'off');
  };
  const seen = new Set(entries.filter(isSeen).map(({ name }) => name));
  const keys = keyRelatives(entries, isSeen);
  return entries.flatMap((entry) => {
    const { name, origin } = entry;
    if (seen.has(name)) return [entry];
    const isCloneOfSeen = origin !== undefined && seen.has(datasetOf(origin.name));
    if (!isCloneOfSeen && !keys.isRelated(entry) && !shown.leadsTo(name) && name !== asked) return [];
    return [bare(entry, isCloneOfSeen || keys.isFamily(entry))];
  });
}
