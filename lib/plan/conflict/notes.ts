import type { ConflictResolution, Rename, Rollback } from '../../../schemas/conflict.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { someOf } from '../refusal.ts';
import { isRotation } from './rotate.ts';

/** Limit of names in a note; the plan itself has all of them. */
const mostNames = 100;

interface ResolutionContext {
  /** The chain's first step. */
  first: Step;
  target: Inventory;
  source: { host: string };
}

/** What a resolution does to the target, in full: it names everything that a policy destroys. */
export function resolutionNote(
  { sourceDataset, targetDataset }: DatasetPlan,
  resolution: ConflictResolution,
  context: ResolutionContext,
): Note {
  return resolution.kind === 'rollback'
    ? { kind: 'rollback', dataset: targetDataset, message: rollbackMessage(targetDataset, resolution, context.target) }
    : {
        kind: 'rename',
        dataset: resolution.from,
        message: renameMessage(sourceDataset, targetDataset, resolution, context),
      };
}

/** The target has diverged, and nothing has to be sent to it. */
export const untouchedNote = (
  { sourceDataset, targetDataset }: DatasetPlan,
  resolution: ConflictResolution,
  host: string,
): Note => {
  const own = resolution.kind === 'rollback' ? resolution.destroys : [];
  const names = own.length > 0 ? ` (${namesOf(own)})` : '';
  return {
    kind: 'skipped',
    dataset: sourceDataset,
    message: `${targetDataset} on ${host} has diverged${names} and stays unchanged: nothing has to be sent to it`,
  };
};

function rollbackMessage(
  targetDataset: string,
  { to, destroys, cursors }: Rollback,
  { host, datasets }: Inventory,
): string {
  const there = datasets.find((dataset) => dataset.name === targetDataset);
  const going = new Set(destroys.map(({ guid }) => guid));
  const held = there?.snapshots.filter(({ guid, userrefs }) => going.has(guid) && userrefs > 0) ?? [];
  const parts = [
    `${targetDataset} on ${host} is rolled back to @${to.name.slice(datasetOf(to.name).length + 1)}`,
    destroys.length > 0 ? `${namesOf(destroys)} there will be DESTROYED` : 'no snapshot is destroyed',
    ...(there?.written ? [`the ${there.written} bytes written there since the newest snapshot will be lost`] : []),
    ...(cursors
      ? [`the cursor bookmark ${namesOf(cursors, '#')} there, for a target of ${targetDataset}, is destroyed`]
      : []),
    ...(held.length > 0 ? [`${namesOf(held)} has a hold; zpsend releases only its own holds`] : []),
  ];
  return parts.join('; ');
}

function renameMessage(
  sourceDataset: string,
  targetDataset: string,
  rename: Rename,
  { first, target, source }: ResolutionContext,
): string {
  const { from, to } = rename;
  if (!isRotation(rename, targetDataset)) {
    return `${from} on ${target.host} is renamed to ${to}, because ${sourceDataset} was renamed on ${source.host}`;
  }
  const start = first.origin === undefined ? 'is sent in full' : `starts as a clone of ${first.origin}`;
  return `${from} on ${target.host} is renamed to ${to} with all its snapshots, and ${targetDataset} ${start}; nothing is lost`;
}

const namesOf = (entries: readonly { name: string }[], sigil: '@' | '#' = '@'): string =>
  someOf(
    entries.map((entry) => entry.name),
    sigil,
    mostNames,
  );
