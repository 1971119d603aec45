import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, parentOf } from '../../../schemas/names.ts';
import type { Note } from '../../../schemas/plan.ts';
import type { Refusal } from '../refusal.ts';
import {
  embeddedInEncrypted,
  type NewDataset,
  type Placement,
  partialUnencrypted,
  placementRefusal,
  unencryptedNotes,
} from './validate-placement.ts';

export interface Placeholders {
  /**
   * Places a dataset on the target; later calls treat it as existing.
   * @returns one note for each placeholder that the receiver will create for it, or a refusal
   */
  place(newDataset: NewDataset): Note[] | Refusal;
  /** The ancestors of a dataset that are placeholders of this plan, topmost first. */
  above(targetDataset: string): string[];
}

/**
 * The parents of new datasets, and the placeholders that the receiver will create. A placeholder inherits its encryption from the
 * nearest ancestor, and a clone from its origin, so these decide whether the data arrives encrypted (zrepl#504). Without a listing,
 * nothing is checked.
 * @param sourceDatasetOf the source's dataset that corresponds to that name on the target, if it is listed
 */
export function placeholdersOn(target: Inventory, sourceDatasetOf: (name: string) => string | undefined): Placeholders {
  const there = new Map(target.datasets.map((dataset) => [dataset.name, dataset]));
  /** Datasets that the plan creates, each with the listed dataset from which it inherits its encryption. */
  const made = new Map<string, DatasetEntry | undefined>();
  const placeholders = new Set<string>();

  function place(newDataset: NewDataset): Note[] | Refusal {
    const existing = there.get(newDataset.targetDataset);
    if (existing) {
      const isPartial = existing.snapshots.length === 0;
      return (
        embeddedInEncrypted(newDataset, existing, target.host) ||
        (isPartial && partialUnencrypted(newDataset, existing, target.host)) ||
        (isPartial ? unencryptedNotes(newDataset, existing, target.host) : [])
      );
    }
    const found = placementOf(newDataset);
    const refusal = placementRefusal(newDataset, found, target.host);
    if (refusal) return refusal;
    for (const parent of found.missing) {
      made.set(parent, found.above);
      placeholders.add(parent);
    }
    made.set(newDataset.targetDataset, newDataset.raw ? lockedAs(newDataset) : found.model);
    return [...found.missing.map(noteOf), ...unencryptedNotes(newDataset, found.model, target.host)];
  }

  function placementOf({ targetDataset, origin }: NewDataset): Placement {
    const modelOf = (above?: DatasetEntry) => (origin === undefined ? above : shownAs(datasetOf(origin)));
    const missing: string[] = [];
    for (let parent = parentOf(targetDataset); parent !== undefined; parent = parentOf(parent)) {
      const above = shownAs(parent);
      if (above || made.has(parent)) return { above, model: modelOf(above), missing };
      missing.unshift(parent);
    }
    return { above: undefined, model: modelOf(), missing: [] };
  }

  const shownAs = (name: string): DatasetEntry | undefined => there.get(name) ?? made.get(name);

  function noteOf(placeholder: string): Note {
    const created = `${placeholder} does not exist on ${target.host} and is created, empty and never mounted`;
    const sourceDataset = sourceDatasetOf(placeholder);
    const later =
      sourceDataset === undefined ? '' : `; ${sourceDataset}, which is not sent now, cannot be received there later`;
    return { kind: 'placeholder', dataset: placeholder, message: `${created}${later}` };
  }

  /** A dataset that was received raw has no loaded key. */
  const lockedAs = ({ targetDataset, source: { dataset } }: NewDataset): DatasetEntry => ({
    ...dataset,
    name: targetDataset,
    keystatus: 'unavailable',
  });

  function above(targetDataset: string): string[] {
    const found: string[] = [];
    for (let parent = parentOf(targetDataset); parent !== undefined; parent = parentOf(parent)) {
      if (placeholders.has(parent)) found.unshift(parent);
    }
    return found;
  }

  return { place, above };
}
