import type { DatasetEntry } from '../../schemas/inventory.ts';
import { parentOf } from '../../schemas/names.ts';

/**
 * The datasets of a tree that are replicas of an ancestor in that tree, each with that ancestor: a replication loop brought them back.
 * Sending them would nest them inside themselves endlessly. Recognized by the mark of their chain, or by a common snapshot.
 */
export function ownReplicas(listed: ReadonlyMap<string, DatasetEntry>): ReadonlyMap<string, string> {
  const guids = new Map<string, ReadonlySet<string>>();
  const guidsOf = ({ name, snapshots }: DatasetEntry): ReadonlySet<string> => {
    const known = guids.get(name) ?? new Set(snapshots.map(({ guid }) => guid));
    guids.set(name, known);
    return known;
  };
  const isReplica = (dataset: DatasetEntry, above: DatasetEntry): boolean =>
    dataset.stream?.split(':', 1)[0] === above.guid ||
    (above.snapshots.length > 0 && dataset.snapshots.some(({ guid }) => guidsOf(above).has(guid)));

  const replicas = new Map<string, string>();
  for (const dataset of listed.values()) {
    for (let name = parentOf(dataset.name); name !== undefined; name = parentOf(name)) {
      const above = listed.get(name);
      if (above !== undefined && isReplica(dataset, above)) replicas.set(dataset.name, name);
    }
  }
  return replicas;
}
