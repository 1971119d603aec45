import type { Note } from '../../schemas/plan.ts';
import type { Item } from './matching.ts';

/**
 * A dataset that is received raw is an encryption root of its own (openzfs#15687): what inherited its key at the source has a
 * key of its own on the target, until that is mended. Raw increments arrive all the same afterwards. A clone has its origin's
 * key, and follows when that is changed; it cannot be changed itself (contract/stream-flags.test.ts).
 */
export function keyNotes(
  item: Item,
  origin: string | undefined,
  items: ReadonlyMap<string, Item>,
  host: string,
): Note[] {
  const { dataset, target, existing } = item;
  const root = dataset.encryptionRoot === dataset.name ? undefined : items.get(dataset.encryptionRoot ?? '');
  if (root === undefined || origin !== undefined || existing?.snapshots.length) return [];
  const message =
    `${dataset.name} takes its key from ${root.dataset.name}, and ${target} on ${host} will have one of its own, of the same ` +
    `value. To have it as at the source: zfs load-key ${root.target}; zfs load-key ${target}; zfs change-key -i ${target}`;
  return [{ kind: 'encryption-root', dataset: dataset.name, message }];
}
