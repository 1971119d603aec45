import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, leafOf, parentOf } from '../../../schemas/names.ts';
import type { Note, SendRequest } from '../../../schemas/plan.ts';
import { findSubtree } from '../inventory/listing.ts';
import { isAfter } from '../inventory/txg.ts';
import { ownReplicas } from '../own-replicas.ts';
import { isRefusal, type Refusal, refuse } from '../refusal.ts';
import { matches } from './pattern.ts';
import { chainOf, isPartlyReceived, noSuchSnapshot, partlyReceived, type Wanted } from './wanted.ts';

/** A dataset of the request, and what is wanted of it. */
export interface Chosen {
  dataset: DatasetEntry;
  wanted: Wanted;
}

export interface Selection {
  /** All that the source lists of the tree, what is left out too. */
  listed: ReadonlyMap<string, DatasetEntry>;
  /** By name: parents come before their children. */
  chosen: Chosen[];
  /** Datasets that lack the named snapshot. */
  missing: { dataset: string; refusal: Refusal }[];
  notes: Note[];
}

/**
 * Which datasets a package has, and which snapshots of each. As `zfs send -R` has it, a dataset made after the named
 * snapshot is left out, one that lacks it is an error unless `skipMissing`, and either goes with its descendants. So does a
 * replica of what is sent (own-replicas.ts).
 */
export function selectPackage(request: SendRequest, source: Inventory): Selection | Refusal {
  const root = datasetOf(request.dataset);
  const listed = findSubtree(source, root);
  if (isRefusal(listed)) return listed;
  const rootDataset = listed.get(root);
  if (rootDataset === undefined) return noSuchDataset(source, root);
  const notes: Note[] = [];
  const missing: Selection['missing'] = [];
  const leaf = leafOf(request.dataset);
  const rootGoal = goalOf(rootDataset, leaf);
  if (leaf !== undefined && rootGoal === undefined) return noSuchSnapshot(source.host, rootDataset, `@${leaf}`);

  const replicas = ownReplicas(listed);
  const left = new Set<string>();
  const kept: DatasetEntry[] = [];
  for (const dataset of listed.values()) {
    const { name } = dataset;
    if (left.has(parentOf(name) ?? '')) {
      left.add(name);
      continue;
    }
    const excludedBy = request.exclude?.find((pattern) => isExcluded(pattern, name, root));
    const skip = (why: string): void => {
      left.add(name);
      notes.push({ kind: 'skipped', dataset: name, message: `${name} is left out, with what lies below it: ${why}` });
    };
    if (excludedBy !== undefined) {
      if (name === root) return excludesAll(root, excludedBy);
      skip(`excluded by ${excludedBy}`);
    } else if (replicas.has(name)) {
      skip(`it is a replica of ${replicas.get(name)}, which is sent too, and would come back inside itself each time`);
    } else if (leaf === undefined || goalOf(dataset, leaf) !== undefined) kept.push(dataset);
    else if (rootGoal !== undefined && isAfter(dataset, rootGoal)) skip(`it was made after ${root}@${leaf}`);
    else if (request.skipMissing) skip(`it has no snapshot @${leaf}`);
    else {
      left.add(name);
      missing.push({ dataset: name, refusal: missingIn(source.host, dataset, `${root}@${leaf}`, leaf) });
    }
  }
  for (const pattern of request.exclude ?? []) {
    if (![...listed.keys()].some((name) => isExcluded(pattern, name, root))) {
      notes.push({ kind: 'unmatched', dataset: root, message: `--exclude ${pattern} matches no dataset of ${root}` });
    }
  }
  const idle = (request.snapshots ?? []).filter(
    (pattern) => ![...listed.values()].some(({ snapshots }) => snapshots.some(({ name }) => matches(pattern, name))),
  );
  // what is sent in any case, the origins of clones, is not what was asked for
  if (leaf === undefined && idle.length > 0 && idle.length === request.snapshots?.length) {
    return nothingIn(request, source.host, root);
  }
  for (const pattern of idle) {
    const message = `--snapshots ${pattern} matches no snapshot of ${root} or below it`;
    notes.push({ kind: 'unmatched', dataset: root, message });
  }
  const chosen = chosenOf(request, kept, leaf, notes);
  return chosen.length > 0 || missing.length > 0
    ? { listed, chosen, missing, notes }
    : nothingIn(request, source.host, root);
}

const goalOf = ({ snapshots }: DatasetEntry, leaf: string | undefined) =>
  leaf === undefined ? undefined : snapshots.find((entry) => entry.name === leaf);

/** Does a pattern of a package leave a dataset out? It is of the whole name, or of what follows the package's own. */
const isExcluded = (pattern: string, name: string, root: string): boolean =>
  matches(pattern, name) || (name !== root && matches(pattern, name.slice(root.length + 1)));

/** Is it excluded by one of these, or below what is? */
export function isLeftOut(patterns: readonly string[], name: string, root: string): boolean {
  for (let at: string | undefined = name; at !== undefined && at !== root; at = parentOf(at)) {
    const one = at;
    if (patterns.some((pattern) => isExcluded(pattern, one, root))) return true;
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
    ? `${dataset.name} has to be received whole first`
    : 'zfs snapshot -r makes one in all of them';
  const ways = `Ways out: ${first}; --skip-missing leaves such datasets out.`;
  return { ok: false, error: { ...error, message: `${error.message} The package is of ${named}. ${ways}` } };
}

const excludesAll = (root: string, pattern: string): Refusal =>
  refuse('BAD_REQUEST', `--exclude ${pattern} excludes ${root} itself, so nothing is left to send.`);

const nothingIn = (request: SendRequest, host: string, root: string): Refusal =>
  refuse(
    'NO_SUCH_SNAPSHOT',
    request.snapshots?.length
      ? `No snapshot of ${root} on ${host} and below it matches ${request.snapshots.join(', ')}.`
      : `${root} on ${host} and all below it have no snapshots. Make some: zfs snapshot -r ${root}@NAME`,
    { details: { host, dataset: root } },
  );

export const noSuchDataset = ({ host, datasets }: Inventory, name: string): Refusal =>
  refuse(
    'NO_SUCH_DATASET',
    `${host} has no dataset ${name} (${datasets.length} listed). What it has: zpsend snapshots ${host}`,
    { details: { host, dataset: name } },
  );
