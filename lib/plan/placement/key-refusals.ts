import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { type Refusal, refuse, someOf } from '../refusal.ts';
import type { Brought, Inheritor } from './key-changes.ts';

export interface KeyWords {
  source: string;
  target: string;
  /** The plan whose dataset answers to that name on the target, if it is part of the request. */
  planOf: (target: string) => DatasetPlan | undefined;
  /** The dataset of the target whose key a clone shares: a clone's own cannot be changed (zfs-change-key(8)). */
  holderOf: (target: string) => string;
}

/** The way out that always works: what is an encryption root of its own takes any raw stream, and its key with it. */
const ownKey = (name: string, root: string, host: string): string =>
  `give ${name} on ${host} a key of its own: zfs load-key ${root}; ` +
  `zfs change-key -o keyformat=passphrase -o keylocation=prompt ${name}`;

const snapshotAll = (root: string): string => `zfs snapshot -r ${root}@NAME, and send ${root} with -R`;

/** What a dataset would get on the target could not be opened with the key of the one that it takes its key from there. */
export function wouldNotOpen(
  { dataset, root, after, own }: Inheritor,
  { source, target, planOf, holderOf }: KeyWords,
): Refusal {
  const { name } = dataset;
  const sent = own?.plans[0]?.sourceDataset ?? name;
  const sourceRoot = own?.root ?? sent;
  const why =
    after === 'different'
      ? `${sent} on ${source} has its key from ${sourceRoot}, which wraps it otherwise than ${root} on ${target}, from which ${name} ` +
        `takes its key there: it was made there by itself, or one of them had a change-key since`
      : `${name} on ${target} takes its key from ${root} there, and ZFS does not tell whether the key of ${root} is that of ` +
        `${sourceRoot} on ${source}, as long as that is not sent along`;
  const counterpart = planOf(root);
  const together =
    counterpart?.sourceDataset === sourceRoot
      ? `${sourceRoot} has to bring its key first: ${snapshotAll(sourceRoot)}`
      : `if ${root} is a replica of ${sourceRoot}: ${snapshotAll(sourceRoot)}`;
  const ways = [...(sourceRoot === sent ? [] : [together]), ownKey(holderOf(name), root, target)];
  return refuse(
    'KEY_MISMATCH',
    `${why}. Once its key is unloaded, ${name} could never be opened again. ` +
      `${ways.length > 1 ? 'Ways' : 'Way'} out: ${ways.join('; or ')}.`,
    { details: { source, target, dataset: name, encryptionRoot: root, wrapping: after } },
  );
}

/** Its root would get a new key first, and it may not get it then, since it was written to. */
export function mayNotFollow(
  { sourceDataset: sent, targetDataset: name }: DatasetPlan,
  { root }: Inheritor,
  { source, target }: KeyWords,
): Refusal {
  return refuse(
    'KEY_MISMATCH',
    `${name} on ${target} was written to since its newest snapshot, so that zfs receive may refuse ${sent} of ${source} as MODIFIED, ` +
      `and ${root}, from which it takes its key, gets, or may get, another key first: then ${name} could not be opened any more. ` +
      `Mend that first: --conflict rollback drops what was written, --conflict rotate keeps it aside.`,
    { details: { source, target, dataset: name, encryptionRoot: root } },
  );
}

/** A root would get a key that does not open what takes its key from it on the target. */
export function wouldLockOut(
  root: string,
  { root: sourceRoot }: Brought,
  lockedOut: readonly Inheritor[],
  { source, target, planOf, holderOf }: KeyWords,
): Refusal {
  const names = lockedOut.map(({ dataset }) => dataset.name);
  const known = lockedOut.every(({ after }) => after === 'different');
  const [first = ''] = names;
  const ways = new Set<string>();
  for (const name of names) {
    const plan = planOf(name);
    if (plan?.refusal)
      ways.add(`mend first what keeps ${plan.sourceDataset} from being sent (${plan.refusal.error.code})`);
    else if (plan) ways.add(`they need a new snapshot too: ${snapshotAll(sourceRoot)}`);
    else
      ways.add(
        `if they are in ${sourceRoot} on ${source}, send them along: ${snapshotAll(sourceRoot)}, leaving none of them out`,
      );
  }
  const changes = known ? 'has another key since' : 'may have another key than';
  return refuse(
    'KEY_MISMATCH',
    `${sourceRoot} on ${source} ${changes} ${root} on ${target}, where ${someOf(names, '', 5)} take${names.length > 1 ? '' : 's'} ` +
      `the key from ${root} and would not get theirs anew: they could not be opened any more. ` +
      `Ways out: ${[...ways].slice(0, 3).join('; ')}; or ${ownKey(holderOf(first), root, target)}.`,
    { details: { source, target, dataset: root, inheritors: names.slice(0, 100) } },
  );
}

/** A raw stream carries on that the key cannot be unwrapped. */
export const cannotBeOpened = ({ name, encryptionRoot: root = name }: DatasetEntry, host: string): Refusal =>
  refuse(
    'KEY_MISMATCH',
    `${name} on ${host} takes its key from ${root}, whose key does not open it any more: ${root} had a key of its own change since, ` +
      `or one of them was received without the other. A raw stream would carry that on. Ways out: where it is a replica, have it and ` +
      `${root} sent there anew; or, as long as its key is still loaded, zfs change-key -o keyformat=passphrase -o keylocation=prompt ` +
      `${name}, and zfs change-key -i ${name} then.`,
    { details: { host, dataset: name, encryptionRoot: root } },
  );
