import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { datasetOf, leafOf, parentOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';

/** A need of another chain, by its index in the plan: a snapshot, its key, or its first step. */
export interface Need {
  readonly chain: number;
  readonly guid?: string;
  /** Its first step brings the key. A chain that is done without a step has not brought it. */
  readonly key?: true;
}

const creates = (step: Step | undefined): boolean => step?.type === 'full' || step?.origin !== undefined;

/**
 * The needs of each chain of a plan before its first step: the parent of its target if the plan creates that, the origin
 * of a clone, the key that wraps its own, and renames. A plan lists a needed chain first, so there are no loops. Snapshots are
 * identified by guid, which stays the same in a later plan.
 */
export function needsOf(chains: readonly DatasetPlan[]): Need[][] {
  const needs: Need[][] = chains.map(() => []);
  const makers = new Map<string, number>();
  const clones = new Map<string, { origin: string; chain: number }[]>();
  const renamers = renamersOf(chains);

  const indexes = new Map(chains.map(({ sourceDataset }, chain) => [sourceDataset, chain]));

  for (const [chain, { targetDataset, steps, keyFrom }] of chains.entries()) {
    const [first] = steps;
    if (!first) continue;
    const keyBringer = indexes.get(keyFrom ?? '') ?? chain;
    if (keyBringer < chain) needs[chain]?.push({ chain: keyBringer, key: true });
    for (const renamer of renamersBefore(renamers, chain, first)) needs[chain]?.push({ chain: renamer });
    if (!creates(first)) continue;
    const maker = nearest(makers, targetDataset);
    if (maker !== undefined) needs[chain]?.push({ chain: maker });
    makers.set(targetDataset, chain);
    if (first.origin === undefined || !first.from) continue;
    const siblings = clones.get(first.from.guid);
    if (siblings) siblings.push({ origin: first.origin, chain });
    else clones.set(first.from.guid, [{ origin: first.origin, chain }]);
  }
  if (clones.size === 0) return needs;

  for (const [bringer, { steps }] of chains.entries()) {
    for (const { to, targetDataset } of steps) {
      for (const { origin, chain } of clones.get(to.guid) ?? []) {
        if (chain > bringer && origin === `${targetDataset}@${leafOf(to.name)}`) {
          needs[chain]?.push({ chain: bringer, guid: to.guid });
        }
      }
    }
  }
  return needs;
}

/** The chains that begin with a rename, by the old and the new name. */
function renamersOf(chains: readonly DatasetPlan[]): ReadonlyMap<string, number[]> {
  const renamers = new Map<string, number[]>();
  for (const [chain, { steps }] of chains.entries()) {
    const before = steps[0]?.before;
    if (before?.kind !== 'rename') continue;
    for (const name of [before.from, before.to]) renamers.set(name, [...(renamers.get(name) ?? []), chain]);
  }
  return renamers;
}

/** The earlier chains that rename a chain's target or origin, or a dataset above one of them. */
function renamersBefore(
  renamers: ReadonlyMap<string, number[]>,
  chain: number,
  { targetDataset, origin }: Step,
): number[] {
  if (renamers.size === 0) return [];
  const found = new Set<number>();
  for (const start of origin === undefined ? [targetDataset] : [targetDataset, datasetOf(origin)]) {
    for (let name: string | undefined = start; name !== undefined; name = parentOf(name)) {
      for (const renamer of renamers.get(name) ?? []) if (renamer < chain) found.add(renamer);
    }
  }
  return [...found];
}

/** The chain that creates the nearest dataset above. Between them there may be placeholders. */
function nearest(makers: ReadonlyMap<string, number>, targetDataset: string): number | undefined {
  for (let above = parentOf(targetDataset); above !== undefined; above = parentOf(above)) {
    const maker = makers.get(above);
    if (maker !== undefined) return maker;
  }
  return undefined;
}
