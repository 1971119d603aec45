import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, leafOf, parentOf } from '../../../schemas/names.ts';
import type { Note } from '../../../schemas/plan.ts';
import type { SendRequest } from '../../../schemas/request.ts';
import { findSubtree } from '../inventory/listing.ts';
import { isAfter } from '../inventory/txg.ts';
import { ownReplicas } from '../own-replicas.ts';
import { isRefusal, type Refusal, refuse } from '../refusal.ts';
import type { JobContext } from './job-context.ts';
import { matches } from './pattern.ts';
import { chainOf, isPartlyReceived, noSuchSnapshot, partlyReceived, type Wanted } from './wanted.ts';

/** A dataset of the request, with its wanted snapshots. */
export interface Chosen {
  dataset: DatasetEntry;
  wanted: Wanted;
}

export interface Selection {
  /** All listed datasets of the source's tree, including those that are left out. */
  listed: ReadonlyMap<string, DatasetEntry>;
  /** By name: parents come before their children. */
  chosen: Chosen[];
  /** Datasets that lack the named snapshot. */
  missing: { dataset: string; refusal: Refusal }[];
  notes: Note[];
}

/**
 * Selects the datasets of a package, and the snapshots of each. As in `zfs send -R`, leaves out a dataset that was created after the
 * named snapshot, and refuses one that lacks it unless `skipMissing`, each with its descendants. Leaves out replicas of datasets that
 * are sent (own-replicas.ts).
 */
export function selectPackage(context: JobContext, source: Inventory): Selection | Refusal {
  const { sourceDataset, snapshot: leaf, request } = context;
  const listed = findSubtree(source, sourceDataset);
  if (isRefusal(listed)) return listed;
  const rootEntry = listed.get(sourceDataset);
  if (rootEntry === undefined) return noSuchDataset(source, sourceDataset);
  const notes: Note[] = [];
  const missing: Selection['missing'] = [];
  const rootGoal = goalOf(rootEntry, leaf);
  if (leaf !== undefined && rootGoal === undefined) return noSuchSnapshot(source.host, rootEntry, `@${leaf}`);

  const replicas = ownReplicas(listed);
  const skipped = new Set<string>();
  const kept: DatasetEntry[] = [];
  for (const dataset of listed.values()) {
    const { name } = dataset;
    if (skipped.has(parentOf(name) ?? '')) {
      skipped.add(name);
      continue;
    }
    const excludedBy = request.exclude?.find((pattern) => isExcluded(pattern, name, sourceDataset));
    const skip = (why: string): void => {
      skipped.add(name);
      notes.push({ kind: 'skipped', dataset: name, message: `${name} is left out with its descendants: ${why}` });
    };
    if (excludedBy !== undefined) {
      if (name === sourceDataset) return excludesAll(sourceDataset, excludedBy);
      skip(`excluded by ${excludedBy}`);
    } else if (replicas.has(name)) {
      skip(`it is a replica of ${replicas.get(name)}, which is sent too; each run would nest another copy in it`);
    } else if (leaf === undefined || goalOf(dataset, leaf) !== undefined) kept.push(dataset);
    else if (rootGoal !== undefined && isAfter(dataset, rootGoal))
      skip(`it was created after ${sourceDataset}@${leaf}`);
    else if (request.skipMissing) skip(`it has no snapshot @${leaf}`);
    else {
      skipped.add(name);
      missing.push({ dataset: name, refusal: missingIn(source.host, dataset, `${sourceDataset}@${leaf}`, leaf) });
    }
  }
  for (const pattern of request.exclude ?? []) {
    if (![...listed.keys()].some((name) => isExcluded(pattern, name, sourceDataset))) {
      notes.push({
        kind: 'unmatched',
        dataset: sourceDataset,
        message: `--exclude ${pattern} matches no dataset of ${sourceDataset}`,
      });
    }
  }
  const idle = (request.snapshots ?? []).filter(
    (pattern) => ![...listed.values()].some(({ snapshots }) => snapshots.some(({ name }) => matches(pattern, name))),
  );
  // origins of clones are always sent, but the request did not ask for them
  if (leaf === undefined && idle.length > 0 && idle.length === request.snapshots?.length) {
    return nothingIn(request, source.host, sourceDataset);
  }
  for (const pattern of idle) {
    const message = `--snapshots ${pattern} matches no snapshot of ${sourceDataset} or below it`;
    notes.push({ kind: 'unmatched', dataset: sourceDataset, message });
  }
  const chosen = chosenOf(request, kept, leaf, notes);
  return chosen.length > 0 || missing.length > 0
    ? { listed, chosen, missing, notes }
    : nothingIn(request, source.host, sourceDataset);
}

const goalOf = ({ snapshots }: DatasetEntry, leaf: string | undefined) =>
  leaf === undefined ? undefined : snapshots.find((entry) => entry.name === leaf);

/** Does a pattern of a package exclude a dataset? It matches the full name, or the name relative to the package's root. */
const isExcluded = (pattern: string, name: string, sourceDataset: string): boolean =>
  matches(pattern, name) || (name !== sourceDataset && matches(pattern, name.slice(sourceDataset.length + 1)));

/** Do these patterns exclude the dataset or one of its ancestors? */
export function isLeftOut(patterns: readonly string[], name: string, sourceDataset: string): boolean {
  for (let at: string | undefined = name; at !== undefined && at !== sourceDataset; at = parentOf(at)) {
    const one = at;
    if (patterns.some((pattern) => isExcluded(pattern, one, sourceDataset))) return true;
  }
  return false;
}

function chosenOf(request: SendRequest, kept: DatasetEntry[], leaf: string | undefined, notes: Note[]): Chosen[] {
  const origins = new Map<string, Set<string>>();
  for (const { origin } of kept) {
    if (origin === undefined) continue;
    const names = origins.get(datasetOf(origin.name)) ?? new Set();
    origins.set(datasetOf(origin.name), names.add(leafOf(origin.name) ?? ''));
  }
  const chosen: Chosen[] = [];
  for (const dataset of kept) {
    const wanted = chainOf(request, dataset, goalOf(dataset, leaf), origins.get(dataset.name) ?? new Set());
    if (wanted.snapshots.length > 0) chosen.push({ dataset, wanted });
    else {
      const empty = isPartlyReceived(dataset) ? partlyReceived : 'it has no snapshot';
      const why = dataset.snapshots.length === 0 ? empty : 'no snapshot of it matches';
      const message = `${dataset.name} itself is left out: ${why}`;
      notes.push({ kind: 'skipped', dataset: dataset.name, message });
    }
  }
  return chosen;
}

function missingIn(host: string, dataset: DatasetEntry, named: string, leaf: string): Refusal {
  const { error } = noSuchSnapshot(host, dataset, `@${leaf}`);
  const first = isPartlyReceived(dataset)
    ? `finish the receive of ${dataset.name} first`
    : 'make one in all datasets with zfs snapshot -r';
  const fix = `To fix: ${first}; or leave out such datasets with --skip-missing.`;
  return { ok: false, error: { ...error, message: `${error.message} The package is ${named}. ${fix}` } };
}

const excludesAll = (sourceDataset: string, pattern: string): Refusal =>
  refuse(
    'BAD_REQUEST',
    `--exclude ${pattern} excludes ${sourceDataset} itself, so nothing is left to send. To fix: leave that pattern out, or narrow it.`,
  );

const nothingIn = (request: SendRequest, host: string, sourceDataset: string): Refusal =>
  refuse(
    'NO_SUCH_SNAPSHOT',
    request.snapshots?.length
      ? `No snapshot of ${sourceDataset} and its descendants on ${host} matches ${request.snapshots.join(', ')}. To list them: zpsend snapshots -r ${host}:${sourceDataset}`
      : `${sourceDataset} and its descendants on ${host} have no snapshots. To make some: zfs snapshot -r ${sourceDataset}@NAME there`,
    { details: { host, dataset: sourceDataset } },
  );

export const noSuchDataset = ({ host, datasets }: Inventory, name: string): Refusal =>
  refuse(
    'NO_SUCH_DATASET',
    `${host} has no dataset ${name} (${datasets.length} listed). To list its datasets: zpsend snapshots ${host}`,
    { details: { host, dataset: name } },
  );
