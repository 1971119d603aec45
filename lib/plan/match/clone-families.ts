import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';

/** Finds the target's snapshot with that guid among the counterparts of a dataset's clones, of theirs, and of its origin's. */
export type FamilyFinder = (dataset: string, guid: string) => string | undefined;

/**
 * Datasets that are clones of one another, in however many steps, are a family: `zfs promote` moves snapshots within it.
 * @param listed the source's datasets, by name
 * @param counterpartOf the target's dataset of one of them
 */
export function findInFamily(
  listed: ReadonlyMap<string, DatasetEntry>,
  counterpartOf: (name: string) => DatasetEntry | undefined,
): FamilyFinder {
  let families: Map<string, Map<string, string>> | undefined;
  const heads = new Map<string, string>();

  /** What the first of the family is called: the same for all of it. */
  function headOf(name: string): string {
    const way: string[] = [];
    let head = name;
    for (let next: string | undefined = name; next !== undefined && !way.includes(next); ) {
      way.push(next);
      head = heads.get(next) ?? next;
      const origin: string | undefined = heads.has(next) ? undefined : listed.get(next)?.origin?.name;
      next = origin === undefined ? undefined : datasetOf(origin);
    }
    for (const passed of way) heads.set(passed, head);
    return head;
  }

  function all(): Map<string, Map<string, string>> {
    const found = new Map<string, Map<string, string>>();
    for (const { name, origin } of listed.values()) if (origin) found.set(headOf(name), new Map());
    for (const name of listed.keys()) {
      const held = found.get(headOf(name));
      const counterpart = held && counterpartOf(name);
      for (const entry of counterpart?.snapshots ?? []) {
        if (!held?.has(entry.guid)) held?.set(entry.guid, `${counterpart?.name}@${entry.name}`);
      }
    }
    return found;
  }

  return (dataset, guid) => {
    families ??= all();
    return families.get(headOf(dataset))?.get(guid);
  };
}
