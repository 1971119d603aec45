import type { DatasetEntry } from '../../schemas/inventory.ts';
import { parentOf } from '../../schemas/names.ts';

/**
 * The datasets of a tree that are replicas of one above them in that tree, each with the one it is a replica of: what comes back
 * on a circle between hosts. Sent along, they would come back inside themselves, and so on for ever. Known by the mark of the
 * chain they were received by, or over other hosts by a snapshot that both have.
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
