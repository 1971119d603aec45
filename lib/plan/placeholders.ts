import type { DatasetEntry, Inventory } from '../../schemas/inventory.ts';
import { parentOf } from '../../schemas/names.ts';
import type { Note } from '../../schemas/plan.ts';
import { type Refusal, refuse } from './refusal.ts';

export interface Placeholders {
  /** Notes for a new dataset `name`, one for each parent that will be made for it, or why it cannot be right there. */
  above(name: string, source: { host: string; dataset: DatasetEntry }): Note[] | Refusal;
  /** Those of its parents that are made so, topmost first. */
  for(name: string): string[];
  /** From now on `name` is there. */
  made(name: string): void;
}

/**
 * What a new dataset will lie in, and the parents that the receiver will make. They take after the nearest dataset above, so
 * what that is decides whether what lands below is encrypted (zrepl#504). Where the listing shows nothing above, nothing is
 * known and nothing said.
 */
export function placeholdersOn(target: Inventory): Placeholders {
  const there = new Map(target.datasets.map((dataset) => [dataset.name, dataset]));
  const made = new Set<string>();
  const placeholders = new Set<string>();

  function above(name: string, source: { host: string; dataset: DatasetEntry }): Note[] | Refusal {
    const missing: string[] = [];
    let isBelowMade = false;
    for (let parent = parentOf(name); parent !== undefined; parent = parentOf(parent)) {
      const existing = there.get(parent);
      // what is made takes after what it lies in, so that decides for all below
      if (existing) return misplaced(name, source, existing, missing, target.host) ?? noted(missing);
      if (made.has(parent)) isBelowMade = true;
      else missing.unshift(parent);
    }
    return isBelowMade ? noted(missing) : [];
  }

  const noted = (missing: string[]): Note[] =>
    missing.map((dataset) => {
      made.add(dataset);
      placeholders.add(dataset);
      return {
        kind: 'placeholder',
        dataset,
        message: `${dataset} does not exist on ${target.host} and is made, empty and never mounted`,
      };
    });

  function those(name: string): string[] {
    const found: string[] = [];
    for (let parent = parentOf(name); parent !== undefined; parent = parentOf(parent)) {
      if (placeholders.has(parent)) found.unshift(parent);
    }
    return found;
  }

  return { above, for: those, made: (name) => void made.add(name) };
}

function misplaced(
  name: string,
  source: { host: string; dataset: DatasetEntry },
  above: DatasetEntry,
  missing: string[],
  host: string,
): Refusal | undefined {
  const details = { host, dataset: name, above: above.name };
  if (above.type === 'volume') {
    return refuse('UNSUPPORTED', `${above.name} on ${host} is a volume, and nothing can lie below it.`, { details });
  }
  if (above.encryption !== 'off' && above.keystatus === 'unavailable') {
    return refuse(
      'KEY_REQUIRED',
      `${missing[0] ?? name} would have to be made on ${host}, and the key of ${above.name} above it is not loaded there: ` +
        `zfs load-key -r ${above.name}`,
      { details },
    );
  }
  if (source.dataset.encryption === 'off' || above.encryption !== 'off') return undefined;
  return refuse(
    'UNSUPPORTED',
    `${source.dataset.name} on ${source.host} is encrypted and ${above.name} on ${host} is not, so ${name} would lie there ` +
      'unencrypted: streams are not raw. Way out: a target below a dataset that is encrypted.',
    { details },
  );
}
