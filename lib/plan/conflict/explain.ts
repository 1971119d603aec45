import type { SnapshotEntry } from '../../../schemas/inventory.ts';
import { leafOf } from '../../../schemas/names.ts';
import type { Evidence } from '../../../schemas/plan.ts';
import { type Base, leafOfBase, newestCommon } from '../inventory/bases.ts';
import type { DatasetTask } from '../match/dataset-task.ts';
import { type Refusal, refuse, someOf } from '../refusal.ts';
import { ordinaryBookmark } from '../request/wanted.ts';
import { evidenceOf } from './evidence.ts';

/** The target has newer snapshots than the newest common one, or there is no common one. */
export function diverged(task: DatasetTask, common: Base | undefined): Refusal {
  const { source, target, targetDataset } = task;
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  const onTarget = target.dataset?.snapshots.find((entry) => entry.guid === common?.guid);
  const bookmark = bookmarkOfOrigin(task);
  const redaction = redactionBookmarkOf(task);
  const fix = redaction
    ? `${redaction} on ${source.host}, because only a redaction bookmark is left there of the newest snapshot on ${target.host}; then send again`
    : bookmark
      ? `${bookmark} on ${source.host}, because zfs promote moved the common snapshot to another dataset; then send again`
      : onTarget
        ? `roll the target back (--conflict rollback, or zfs rollback -r ${targetDataset}@${onTarget.name} on ${target.host}; both destroy ` +
          'newer snapshots), rename it (--conflict rotate loses nothing), or receive under another name'
        : alternatives([...otherTargets(task), ...renameOption(task, '(--conflict rotate)')]);
  return refused(
    task,
    'DIVERGED',
    `${pair(task)} have diverged: ${summary(task, common, evidence)}. To fix: ${fix}.`,
    evidence,
  );
}

/**
 * Promoting a clone moves the snapshots of its origin to the clone. The next increment of the origin is then a clone's, which an existing
 * dataset cannot receive, unless the origin has a bookmark of the snapshot (zfs-bookmark(8), contract/clones.test.ts).
 */
function bookmarkOfOrigin({ source: { dataset }, target }: DatasetTask): string | undefined {
  const newest = target.dataset?.snapshots.at(-1);
  if (newest === undefined || dataset.origin?.guid !== newest.guid) return undefined;
  return `zfs bookmark ${dataset.origin.name} ${dataset.name}#${leafOf(dataset.origin.name)}`;
}

/** A redaction bookmark cannot be a base, but an ordinary bookmark of it can. */
function redactionBookmarkOf({ source: { dataset }, target }: DatasetTask): string | undefined {
  const newest = target.dataset?.snapshots.at(-1);
  const mark = dataset.bookmarks.find(({ guid, redacted }) => redacted && guid === newest?.guid);
  return mark && ordinaryBookmark(dataset.name, mark.name);
}

/** Other snapshots on the target already have the names that the steps would create. */
export function namesTaken(task: DatasetTask, clashes: readonly SnapshotEntry[]): Refusal {
  const { source, target, targetDataset } = task;
  const names = clashes.map((entry) => entry.name);
  const evidence = evidenceOf(source.dataset, target.dataset, commonOf(task));
  const sent = new Set(names);
  const onSource = new Set(source.dataset.snapshots.map((entry) => entry.guid));
  const blocking = target.dataset?.snapshots.filter((entry) => sent.has(entry.name) && !onSource.has(entry.guid));
  const targetOnly = new Set([...evidence.targetOnly, ...(blocking ?? []).map((entry) => entry.name)]);
  return refused(
    task,
    'DIVERGED',
    `${targetDataset} on ${target.host} has other snapshots (other guids) under names that ${source.host} would send: ` +
      `${someOf(names)}. To fix: rename them there, with zfs rename ${targetDataset}@${names[0]} @NAME.`,
    { ...evidence, targetOnly: [...targetOnly] },
  );
}

/** The target has the base of the requested increment, and newer snapshots. */
export function notTheNewest(task: DatasetTask, base: Base): Refusal {
  const { source, target, targetDataset } = task;
  const common = commonOf(task);
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  const newest = target.dataset?.snapshots.at(-1);
  const fix =
    newest !== undefined && newest.guid === common?.guid
      ? `start from ${leafOfBase(common)} instead`
      : `roll ${targetDataset} on ${target.host} back to the base (zfs rollback -r), or receive under another name`;
  return refused(
    task,
    'DIVERGED',
    `The base ${leafOfBase(base)} is not the newest snapshot of ${targetDataset} on ${target.host}: that is @${newest?.name} ` +
      `(${summary(task, common, evidence)}). To fix: ${fix}.`,
    evidence,
  );
}

export function baseMissing(task: DatasetTask, base: Base): Refusal {
  const { source, target, targetDataset } = task;
  const common = commonOf(task);
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  const lack = target.dataset ? `lacks the base ${leafOfBase(base)} (no snapshot with its guid)` : 'does not exist';
  return refused(
    task,
    'BASE_MISSING',
    `${targetDataset} on ${target.host} ${lack}: ${summary(task, common, evidence)}. ` +
      `To fix: send ${source.dataset.name} without a base; zpsend then finds the missing steps.`,
    evidence,
  );
}

/** The target lacks the requested snapshot, which is older than the newest common one. */
export function tooLate(task: DatasetTask, goal: SnapshotEntry, common: Base): Refusal {
  const { source, target, targetDataset } = task;
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  return refused(
    task,
    'DIVERGED',
    `${targetDataset} on ${target.host} lacks @${goal.name} and can no longer receive it, because it has the newer ${leafOfBase(common)} of ` +
      `${source.dataset.name}. To fix: receive it under another name, ` +
      `as in --full ${source.dataset.name}@${goal.name} ${target.host}:${freeName(targetDataset)}.`,
    evidence,
  );
}

/** A suggested name; for a pool, a dataset in it. */
const freeName = (taken: string, source = 'NAME'): string =>
  taken.includes('/') ? `${taken}-2` : `${taken}/${source.split('/').at(-1)}`;

const alternatives = (options: readonly string[]): string =>
  options.length > 1 ? `${options.slice(0, -1).join(', ')}, or ${options.at(-1)}` : (options[0] ?? '');

/** Other target names for the dataset, and the flags that choose them. */
const otherTargets = ({ source, target, targetDataset, below }: DatasetTask): string[] => [
  ...below.map(({ flag, name }) => `send with ${flag} (${name})`),
  `send to another name, as in ${target.host}:${freeName(targetDataset, source.dataset.name)}`,
];

/** A dataset can be renamed, a pool cannot. */
const renameOption = ({ target, targetDataset }: DatasetTask, how: string): string[] =>
  targetDataset.includes('/') ? [`rename ${targetDataset} on ${target.host} ${how}`] : [];

export function exists(task: DatasetTask): Refusal {
  const { source, target, targetDataset } = task;
  const count = target.dataset?.snapshots.length ?? 0;
  const evidence = evidenceOf(source.dataset, target.dataset, commonOf(task));
  const options = [...otherTargets(task), ...renameOption(task, '(zfs rename, or --conflict rotate)')];
  const parentHint = targetDataset.includes('/')
    ? '; if it was only a parent of others, rename those back below it afterwards'
    : '';
  return refused(
    task,
    'EXISTS',
    `${targetDataset} exists on ${target.host} ${count === 0 ? 'without a snapshot' : `with ${count} snapshots`}, and a ` +
      `full stream needs a free name. To fix: ${alternatives(options)}${parentHint}.`,
    evidence,
  );
}

const commonOf = ({ source, target }: DatasetTask): Base | undefined =>
  target.dataset && newestCommon(source.dataset, target.dataset);

const pair = ({ source, target, targetDataset }: DatasetTask): string =>
  `${source.dataset.name} on ${source.host} and ${targetDataset} on ${target.host}`;

const detailsOf = ({ source, target, targetDataset }: DatasetTask) => ({
  source: source.host,
  target: target.host,
  dataset: targetDataset,
});

function summary(
  { source, target }: DatasetTask,
  common: Base | undefined,
  { sourceOnly, targetOnly, modified }: Evidence,
): string {
  const start = common ? `newest common ${leafOfBase(common)}` : 'no common snapshot';
  const written =
    modified === undefined ? '' : `; ${modified} bytes written on ${target.host} since its newest snapshot`;
  return `${start}; only on ${source.host}: ${someOf(sourceOnly)}; only on ${target.host}: ${someOf(targetOnly)}${written}`;
}

const refused = (
  task: DatasetTask,
  code: 'DIVERGED' | 'BASE_MISSING' | 'EXISTS',
  message: string,
  evidence: Evidence,
) => refuse(code, message, { details: detailsOf(task), evidence });
