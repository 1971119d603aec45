import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, parentOf } from '../../../schemas/names.ts';
import type { Note } from '../../../schemas/plan.ts';
import type { Refusal } from '../refusal.ts';
import {
  clearlyNoted,
  embeddedInEncrypted,
  leftInTheClear,
  type NewDataset,
  type Place,
  placementRefusal,
} from './validate-placement.ts';

export interface Placeholders {
  /**
   * Puts a dataset in its place: from now on it is there. Notes, one for each parent that will be made for it, or why
   * it cannot be right there. Nothing is to be said of one that has a snapshot there.
   */
  place(newDataset: NewDataset): Note[] | Refusal;
  /** Those parents of a dataset that are made so, topmost first. */
  above(name: string): string[];
}

/**
 * What a new dataset will lie in, and the parents that the receiver will make. They take after the nearest dataset above, and
 * a clone after its origin wherever it lies, so what that is decides whether what lands is encrypted (zrepl#504). Where
 * the listing shows nothing, nothing is known and nothing said.
 * @param sourceOf the source's dataset that would have that name on the target, if it is listed
 */
export function placeholdersOn(target: Inventory, sourceOf: (name: string) => string | undefined): Placeholders {
  const there = new Map(target.datasets.map((dataset) => [dataset.name, dataset]));
  /** What the plan makes, with the dataset of the listing that each takes after. */
  const made = new Map<string, DatasetEntry | undefined>();
  const placeholders = new Set<string>();

  function place(newDataset: NewDataset): Note[] | Refusal {
    const existing = there.get(newDataset.name);
    if (existing) {
      const isLeft = existing.snapshots.length === 0;
      return (
        embeddedInEncrypted(newDataset, existing, target.host) ||
        (isLeft && leftInTheClear(newDataset, existing, target.host)) ||
        (isLeft ? clearlyNoted(newDataset, existing, target.host) : [])
      );
    }
    const found = placeOf(newDataset);
    const refusal = placementRefusal(newDataset, found, target.host);
    if (refusal) return refusal;
    for (const parent of found.missing) {
      made.set(parent, found.above);
      placeholders.add(parent);
    }
    made.set(newDataset.name, newDataset.raw ? lockedAs(newDataset) : found.model);
    return [...found.missing.map(noteOf), ...clearlyNoted(newDataset, found.model, target.host)];
  }

  function placeOf({ name, origin }: NewDataset): Place {
    const modelOf = (above?: DatasetEntry) => (origin === undefined ? above : shownAs(datasetOf(origin)));
    const missing: string[] = [];
    for (let parent = parentOf(name); parent !== undefined; parent = parentOf(parent)) {
      const above = shownAs(parent);
      if (above || made.has(parent)) return { above, model: modelOf(above), missing };
      missing.unshift(parent);
    }
    return { above: undefined, model: modelOf(), missing: [] };
  }

  const shownAs = (name: string): DatasetEntry | undefined => there.get(name) ?? made.get(name);

  function noteOf(dataset: string): Note {
    const made = `${dataset} does not exist on ${target.host} and is made, empty and never mounted`;
    const own = sourceOf(dataset);
    const later =
      own === undefined ? '' : `; it takes the place of ${own}, which is not sent now and will not fit there later`;
    return { kind: 'placeholder', dataset, message: `${made}${later}` };
  }

  /** Nobody has loaded the key of what has just arrived raw. */
  const lockedAs = ({ name, source: { dataset } }: NewDataset): DatasetEntry => ({
    ...dataset,
    name,
    keystatus: 'unavailable',
  });

  function above(name: string): string[] {
    const found: string[] = [];
    for (let parent = parentOf(name); parent !== undefined; parent = parentOf(parent)) {
      if (placeholders.has(parent)) found.unshift(parent);
    }
    return found;
  }

  return { place, above };
}
