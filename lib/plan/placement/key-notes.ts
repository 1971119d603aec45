import type { Inventory } from '../../../schemas/inventory.ts';
import type { Note } from '../../../schemas/plan.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import type { Item } from '../match/match-targets.ts';
import { byName, isRaw, isToCome, type KeyChanges } from './key-changes.ts';
import { compareWrappings } from './key-wrapping.ts';

export interface NoteContext {
  source: Inventory;
  target: Inventory;
  /** By the source's names. */
  items: ReadonlyMap<string, Item>;
}

/**
 * A dataset that is received raw becomes an encryption root (openzfs#15687), even if it inherited its key at the source. It can join
 * its root on the target while that has the key of the source's root. A clone shares its origin's key and cannot be changed itself
 * (contract/stream-flags.test.ts).
 */
export function joinNotes(
  plans: readonly DatasetPlan[],
  changes: KeyChanges,
  { source, target, items }: NoteContext,
): Note[] {
  const [from, there] = [byName(source), byName(target)];
  return plans.flatMap((plan): Note[] => {
    const dataset = from.get(plan.sourceDataset);
    const isNew =
      isRaw(plan) && plan.steps[0]?.origin === undefined && !there.get(plan.targetDataset)?.snapshots.length;
    if (!dataset || !isNew || dataset.encryptionRoot === dataset.name) return [];
    const root = items.get(dataset.encryptionRoot ?? '');
    if (!root) return [];
    const existing = there.get(root.targetDataset);
    const brought = changes.broughtTo(root.targetDataset);
    const isOwn = !existing || (existing.encryptionRoot === root.targetDataset && existing.encryption !== 'off');
    const isSame =
      isOwn && brought
        ? brought.root === root.dataset.name
        : isOwn && existing && compareWrappings(existing.wrapping, root.dataset.wrapping) === 'same';
    const message =
      `${plan.sourceDataset} inherits its key from ${root.dataset.name}, but ${plan.targetDataset} on ${target.host} will be an encryption root, with ` +
      `the same key.`;
    const how = isSame
      ? ` To join them as at the source: zfs load-key ${root.targetDataset}; zfs load-key ${plan.targetDataset}; zfs change-key -i ${plan.targetDataset}. ` +
        `After that, always snapshot both (zfs snapshot -r) and send both (-R on ${root.dataset.name}).`
      : ` Do not join them: ${root.targetDataset} does not have, or may not have, the key of ${root.dataset.name}.`;
    return [{ kind: 'encryption-root', dataset: plan.sourceDataset, message: `${message}${how}` }];
  });
}

/** Datasets on the target that are already locked out, and stay so after this plan. */
export function lockedNotes({ inheritors }: KeyChanges, { target, items }: NoteContext): Note[] {
  const sources = new Map([...items.values()].map((item) => [item.targetDataset, item.dataset.name]));
  return inheritors.flatMap(({ dataset: { name }, root, before, own, fromRoot }): Note[] => {
    const sourceDataset = sources.get(name);
    if (sourceDataset === undefined || before !== 'different' || isToCome(own) || isToCome(fromRoot)) return [];
    const message =
      `${name} on ${target.host} inherits its key from ${root}, whose key does not open it: once unloaded, it cannot be mounted there. ` +
      `To fix: make a new snapshot of ${sourceDataset} and of its encryption root, and send both (-R).`;
    return [{ kind: 'encryption-root', dataset: sourceDataset, message }];
  });
}
