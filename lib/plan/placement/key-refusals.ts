import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { type Refusal, refuse, someOf } from '../refusal.ts';
import type { Brought, Inheritor } from './key-changes.ts';

export interface RefusalContext {
  /** The source's host. */
  source: string;
  /** The target's host. */
  target: string;
  /** The plan for that dataset of the target, if it is part of the request. */
  planOf: (targetDataset: string) => DatasetPlan | undefined;
  /** The dataset of the target whose key a clone shares: a clone's key cannot be changed (zfs-change-key(8)). */
  holderOf: (targetDataset: string) => string;
}

/** The solution that always works: an encryption root receives any raw stream, with its key. */
const ownKey = (name: string, root: string, host: string): string =>
  `make ${name} on ${host} an encryption root: zfs load-key ${root}; ` +
  `zfs change-key -o keyformat=passphrase -o keylocation=prompt ${name}`;

const snapshotAll = (root: string): string => `zfs snapshot -r ${root}@NAME, and send ${root} with -R`;

/** A dataset on the target would get a key that its encryption root's key does not open. */
export function wouldNotOpen(
  { dataset, root, after, own }: Inheritor,
  { source, target, planOf, holderOf }: RefusalContext,
): Refusal {
  const { name } = dataset;
  const sourceDataset = own?.plans[0]?.sourceDataset ?? name;
  const sourceRoot = own?.root ?? sourceDataset;
  const why =
    after === 'different'
      ? `${name} on ${target} would get the key of ${sourceDataset} on ${source} as ${sourceRoot} wraps it. But its encryption root ${root} ` +
        `wraps it differently: ${root} is not a replica of ${sourceRoot}, or one of them had a change-key since`
      : `${name} on ${target} inherits its key from ${root}. ZFS does not show whether ${root} has the same key as ` +
        `${sourceRoot} on ${source}, so that has to be sent too`;
  const counterpart = planOf(root);
  const together =
    counterpart?.sourceDataset === sourceRoot
      ? `send the key of ${sourceRoot} first: ${snapshotAll(sourceRoot)}`
      : `if ${root} is a replica of ${sourceRoot}: ${snapshotAll(sourceRoot)}`;
  const fixes = [...(sourceRoot === sourceDataset ? [] : [together]), ownKey(holderOf(name), root, target)];
  return refuse(
    'KEY_MISMATCH',
    `${why}. Once its key is unloaded, ${name} could never be opened again. ` + `To fix: ${fixes.join('; or ')}.`,
    { details: { source, target, dataset: name, encryptionRoot: root, wrapping: after } },
  );
}

/** Its encryption root would get a new key, but the dataset may not, because it was written to. */
export function mayNotFollow(
  { sourceDataset, targetDataset }: DatasetPlan,
  { root }: Inheritor,
  { source, target }: RefusalContext,
): Refusal {
  return refuse(
    'KEY_MISMATCH',
    `${targetDataset} on ${target} was written to since its newest snapshot, so zfs receive may refuse ${sourceDataset} of ${source} as MODIFIED. ` +
      `Before that, its encryption root ${root} gets, or may get, another key. Then ${targetDataset} could never be opened again. ` +
      `To fix: --conflict rollback discards the changes, and --conflict rotate keeps them under another name.`,
    { details: { source, target, dataset: targetDataset, encryptionRoot: root } },
  );
}

/** A root would get a key that does not open the datasets on the target that inherit from it. */
export function wouldLockOut(
  root: string,
  { root: sourceRoot }: Brought,
  lockedOut: readonly Inheritor[],
  { source, target, planOf, holderOf }: RefusalContext,
): Refusal {
  const names = lockedOut.map(({ dataset }) => dataset.name);
  const known = lockedOut.every(({ after }) => after === 'different');
  const [first = ''] = names;
  const fixes = new Set<string>();
  for (const name of names) {
    const plan = planOf(name);
    if (plan?.refusal) fixes.add(`first resolve the refusal of ${plan.sourceDataset} (${plan.refusal.error.code})`);
    else if (plan) fixes.add(`make a new snapshot of all of them: ${snapshotAll(sourceRoot)}`);
    else
      fixes.add(
        `if they are in ${sourceRoot} on ${source}, send them too: ${snapshotAll(sourceRoot)}, without excluding any of them`,
      );
  }
  const changes = known ? 'has another key than' : 'may have another key than';
  return refuse(
    'KEY_MISMATCH',
    `${sourceRoot} on ${source} ${changes} ${root} on ${target}. There, ${someOf(names, '', 5)} inherit${names.length > 1 ? '' : 's'} ` +
      `the key of ${root} and would not get the new one, and so could never be opened again. ` +
      `To fix: ${[...fixes].slice(0, 3).join('; ')}; or ${ownKey(holderOf(first), root, target)}.`,
    { details: { source, target, dataset: root, inheritors: names.slice(0, 100) } },
  );
}

/** A raw stream would replicate a key that cannot be unwrapped. */
export const cannotBeOpened = ({ name, encryptionRoot: root = name }: DatasetEntry, host: string): Refusal =>
  refuse(
    'KEY_MISMATCH',
    `${name} on ${host} inherits its key from ${root}, whose key does not open it any more: ${root} had a change-key since, ` +
      `or one of them was received without the other. A raw stream would replicate that. To fix: if it is a replica, send it and ` +
      `${root} to ${host} again; or, while its key is still loaded, zfs change-key -o keyformat=passphrase -o keylocation=prompt ` +
      `${name}, then zfs change-key -i ${name}.`,
    { details: { host, dataset: name, encryptionRoot: root } },
  );
