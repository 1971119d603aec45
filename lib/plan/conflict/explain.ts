import type { SnapshotEntry } from '../../../schemas/inventory.ts';
import { leafOf } from '../../../schemas/names.ts';
import type { Evidence } from '../../../schemas/plan.ts';
import { type Base, leafOfBase, newestCommon } from '../inventory/bases.ts';
import type { DatasetTask } from '../match/dataset-task.ts';
import { type Refusal, refuse, someOf } from '../refusal.ts';
import { ordinaryBookmark } from '../request/wanted.ts';
import { evidenceOf } from './evidence.ts';

/** The target went its own way after the newest common point, or never had one. */
export function diverged(task: DatasetTask, common: Base | undefined): Refusal {
  const { source, target } = task;
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  const onTarget = target.dataset?.snapshots.find((entry) => entry.guid === common?.guid);
  const bookmark = bookmarkOfOrigin(task);
  const redaction = redactionBookmarkOf(task);
  const way = redaction
    ? `${redaction} on ${source.host}, since only a redaction bookmark is left there of what ${target.host} has, and it goes on from there`
    : bookmark
      ? `${bookmark} on ${source.host}, since the snapshot that both have went to another dataset with zfs promote, and it goes on from there`
      : onTarget
        ? `roll the target back (zfs rollback -r ${target.name}@${onTarget.name} on ${target.host} destroys what is newer, and so ` +
          'does --conflict rollback), have it moved aside (--conflict rotate loses nothing), or receive under another name'
        : inSeries([...elsewhere(task), ...aside(task, '(--conflict rotate)')]);
  return refused(
    task,
    'DIVERGED',
    `${pair(task)} have diverged: ${inWords(task, common, evidence)}. Ways out: ${way}.`,
    evidence,
  );
}

/**
 * A dataset whose clone was promoted lost its snapshots to that clone, and its next incremental is a clone's, which what
 * exists does not take; a bookmark of its own mends that (zfs-bookmark(8), contract/clones.test.ts).
 */
function bookmarkOfOrigin({ source: { dataset }, target }: DatasetTask): string | undefined {
  const newest = target.dataset?.snapshots.at(-1);
  if (newest === undefined || dataset.origin?.guid !== newest.guid) return undefined;
  return `zfs bookmark ${dataset.origin.name} ${dataset.name}#${leafOf(dataset.origin.name)}`;
}

/** A redaction bookmark is no base, and an ordinary bookmark of it is. */
function redactionBookmarkOf({ source: { dataset }, target }: DatasetTask): string | undefined {
  const newest = target.dataset?.snapshots.at(-1);
  const mark = dataset.bookmarks.find(({ guid, redacted }) => redacted && guid === newest?.guid);
  return mark && ordinaryBookmark(dataset.name, mark.name);
}

/** Steps would create snapshots whose names other snapshots have at the target. */
export function namesTaken(task: DatasetTask, clashes: readonly SnapshotEntry[]): Refusal {
  const { source, target } = task;
  const names = clashes.map((entry) => entry.name);
  const evidence = evidenceOf(source.dataset, target.dataset, commonOf(task));
  const sent = new Set(names);
  const onSource = new Set(source.dataset.snapshots.map((entry) => entry.guid));
  const inTheWay = target.dataset?.snapshots.filter((entry) => sent.has(entry.name) && !onSource.has(entry.guid));
  const targetOnly = new Set([...evidence.targetOnly, ...(inTheWay ?? []).map((entry) => entry.name)]);
  return refused(
    task,
    'DIVERGED',
    `${target.name} on ${target.host} has other snapshots (other guids) under names that ${source.host} would send: ` +
      `${someOf(names)}. Way out: rename them there, zfs rename ${target.name}@${names[0]} @NAME.`,
    { ...evidence, targetOnly: [...targetOnly] },
  );
}

/** The base of the one incremental asked for is on the target, but something newer is there too. */
export function notTheNewest(task: DatasetTask, base: Base): Refusal {
  const { source, target } = task;
  const common = commonOf(task);
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  const newest = target.dataset?.snapshots.at(-1);
  const way =
    newest !== undefined && newest.guid === common?.guid
      ? `start from ${leafOfBase(common)} instead`
      : `roll ${target.name} on ${target.host} back to it (zfs rollback -r), or receive under another name`;
  return refused(
    task,
    'DIVERGED',
    `The base ${leafOfBase(base)} is not the newest snapshot of ${target.name} on ${target.host}, @${newest?.name} is ` +
      `(${inWords(task, common, evidence)}). Way out: ${way}.`,
    evidence,
  );
}

export function baseMissing(task: DatasetTask, base: Base): Refusal {
  const { source, target } = task;
  const common = commonOf(task);
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  const lack = target.dataset ? `lacks the base ${leafOfBase(base)} (no snapshot with its guid)` : 'does not exist';
  return refused(
    task,
    'BASE_MISSING',
    `${target.name} on ${target.host} ${lack}: ${inWords(task, common, evidence)}. ` +
      `Way out: send ${source.dataset.name} without a base, and the steps that are missing are found.`,
    evidence,
  );
}

/** The snapshot asked for is older than what both have in common, and the target never got it. */
export function tooLate(task: DatasetTask, goal: SnapshotEntry, common: Base): Refusal {
  const { source, target } = task;
  const evidence = evidenceOf(source.dataset, target.dataset, common);
  return refused(
    task,
    'DIVERGED',
    `${target.name} on ${target.host} lacks @${goal.name} and cannot get it any more: it has the newer ${leafOfBase(common)} of ` +
      `${source.dataset.name}, and a snapshot is never received before another. Way out: receive it under another name, ` +
      `as in --full ${source.dataset.name}@${goal.name} ${target.host}:${freeName(target.name)}.`,
    evidence,
  );
}

/** A name that somebody might choose instead; a pool's own cannot be one. */
const freeName = (taken: string, source = 'NAME'): string =>
  taken.includes('/') ? `${taken}-2` : `${taken}/${source.split('/').at(-1)}`;

const inSeries = (ways: readonly string[]): string =>
  ways.length > 1 ? `${ways.slice(0, -1).join(', ')}, or ${ways.at(-1)}` : (ways[0] ?? '');

/** Other places for the dataset, and the flags that choose one. */
const elsewhere = ({ source, target, below }: DatasetTask): string[] => [
  ...below.map(({ flag, name }) => `${flag} (${name})`),
  `another name, as in ${target.host}:${freeName(target.name, source.dataset.name)}`,
];

/** What is no pool can be moved out of the way. */
const aside = ({ target }: DatasetTask, how: string): string[] =>
  target.name.includes('/') ? [`move ${target.name} on ${target.host} out of the way ${how}`] : [];

export function exists(task: DatasetTask): Refusal {
  const { source, target } = task;
  const count = target.dataset?.snapshots.length ?? 0;
  const evidence = evidenceOf(source.dataset, target.dataset, commonOf(task));
  const ways = [...elsewhere(task), ...aside(task, '(zfs rename, or --conflict rotate)')];
  const parted = target.name.includes('/')
    ? '; if it was only a parent of others, rename those back below it afterwards'
    : '';
  return refused(
    task,
    'EXISTS',
    `${target.name} exists on ${target.host} ${count === 0 ? 'without a snapshot' : `with ${count} snapshots`}, and a ` +
      `full stream needs a name that is free. Ways out: ${inSeries(ways)}${parted}.`,
    evidence,
  );
}

const commonOf = ({ source, target }: DatasetTask): Base | undefined =>
  target.dataset && newestCommon(source.dataset, target.dataset);

const pair = ({ source, target }: DatasetTask): string =>
  `${source.dataset.name} on ${source.host} and ${target.name} on ${target.host}`;

const places = ({ source, target }: DatasetTask) => ({
  source: source.host,
  target: target.host,
  dataset: target.name,
});

function inWords(
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
) => refuse(code, message, { details: places(task), evidence });
