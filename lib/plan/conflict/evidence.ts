import type { DatasetEntry, SnapshotEntry } from '../../../schemas/inventory.ts';
import type { Evidence } from '../../../schemas/plan.ts';
import type { Base } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';

/** The snapshots after the newest common one that only one side has; all snapshots if there is no common one. */
export function evidenceOf(source: DatasetEntry, target: DatasetEntry | undefined, common: Base | undefined): Evidence {
  const onSource = new Set([...source.snapshots, ...source.bookmarks].map((entry) => entry.guid));
  const onTarget = new Set(target?.snapshots.map((entry) => entry.guid));
  const commonOnTarget = target?.snapshots.find((entry) => entry.guid === common?.guid);
  return {
    // a common bookmark of the source stands for a snapshot that only the target still has
    newestCommon: (common?.kind === 'bookmark' ? commonOnTarget?.name : common?.name) ?? null,
    sourceOnly: namesOf(
      source.snapshots.filter((entry) => !onTarget.has(entry.guid) && (!common || isAfter(entry, common))),
    ),
    targetOnly: namesOf(
      (target?.snapshots ?? []).filter(
        (entry) => !onSource.has(entry.guid) && (!commonOnTarget || isAfter(entry, commonOnTarget)),
      ),
    ),
    ...(target && isModified(target) && { modified: target.written }),
  };
}

/** Was the dataset written to since its newest snapshot? */
export const isModified = ({ snapshots, written }: DatasetEntry): boolean => snapshots.length > 0 && written > 0;

const namesOf = (snapshots: readonly SnapshotEntry[]): string[] => snapshots.map((entry) => entry.name);
