import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';

/** Finds the target's snapshot with that guid among the counterparts of a dataset's clone family. */
export type FamilyFinder = (dataset: string, guid: string) => string | undefined;

/**
 * Datasets that clone one another, directly or not, are a clone family: `zfs promote` moves snapshots within it.
 * @param listed the source's datasets, by name
 * @param counterpartOf the target's dataset for one of them
 */
export function findInFamily(
  listed: ReadonlyMap<string, DatasetEntry>,
  counterpartOf: (name: string) => DatasetEntry | undefined,
): FamilyFinder {
  let families: Map<string, Map<string, string>> | undefined;
  const representatives = new Map<string, string>();

  /** The first dataset of the family, which identifies it. */
  function representativeOf(name: string): string {
    const path: string[] = [];
    let representative = name;
    for (let next: string | undefined = name; next !== undefined && !path.includes(next); ) {
      path.push(next);
      representative = representatives.get(next) ?? next;
      const origin: string | undefined = representatives.has(next) ? undefined : listed.get(next)?.origin?.name;
      next = origin === undefined ? undefined : datasetOf(origin);
    }
    for (const passed of path) representatives.set(passed, representative);
    return representative;
  }

  /** For each family, by its representative: the counterparts' snapshots, by guid. */
  function snapshotsByFamily(): Map<string, Map<string, string>> {
    const found = new Map<string, Map<string, string>>();
    for (const { name, origin } of listed.values()) if (origin) found.set(representativeOf(name), new Map());
    for (const name of listed.keys()) {
      const family = found.get(representativeOf(name));
      const counterpart = family && counterpartOf(name);
      for (const entry of counterpart?.snapshots ?? []) {
        if (!family?.has(entry.guid)) family?.set(entry.guid, `${counterpart?.name}@${entry.name}`);
      }
    }
    return found;
  }

  return (dataset, guid) => {
    families ??= snapshotsByFamily();
    return families.get(representativeOf(dataset))?.get(guid);
  };
}
