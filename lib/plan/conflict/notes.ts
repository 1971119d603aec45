import type { Clearing, Rename, Rollback } from '../../../schemas/conflict.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { someOf } from '../refusal.ts';
import { isRotation } from './rotate.ts';

/** Names in a note: the plan itself has all of them. */
const mostNames = 100;

interface Around {
  /** The chain's first step. */
  first: Step;
  target: Inventory;
  source: { host: string };
}

/** What is going to be done to the target, in full: nobody shall have to guess what a policy destroys. */
export function clearingNote(
  { sourceDataset, targetDataset: name }: DatasetPlan,
  clearing: Clearing,
  around: Around,
): Note {
  const { target } = around;
  return clearing.kind === 'rollback'
    ? { kind: 'rollback', dataset: name, message: rollbackWords(name, clearing, target) }
    : { kind: 'rename', dataset: clearing.from, message: renameWords(sourceDataset, name, clearing, around) };
}

/** It has diverged, and since nothing is to be sent to it, that does not matter. */
export const untouchedNote = (
  { sourceDataset, targetDataset }: DatasetPlan,
  clearing: Clearing,
  host: string,
): Note => {
  const own = clearing.kind === 'rollback' ? clearing.destroys : [];
  const names = own.length > 0 ? ` (${namesOf(own)})` : '';
  return {
    kind: 'skipped',
    dataset: sourceDataset,
    message: `${targetDataset} on ${host} has gone its own way${names} and stays as it is: nothing has to be sent to it`,
  };
};

function rollbackWords(name: string, { to, destroys, cursors }: Rollback, { host, datasets }: Inventory): string {
  const there = datasets.find((dataset) => dataset.name === name);
  const going = new Set(destroys.map(({ guid }) => guid));
  const held = there?.snapshots.filter(({ guid, userrefs }) => going.has(guid) && userrefs > 0) ?? [];
  const parts = [
    `${name} on ${host} is rolled back to @${to.name.slice(datasetOf(to.name).length + 1)}`,
    destroys.length > 0 ? `${namesOf(destroys)} there will be DESTROYED` : 'no snapshot is destroyed',
    ...(there?.written ? [`the ${there.written} bytes written there since the newest snapshot will be lost`] : []),
    ...(cursors ? [`${namesOf(cursors, '#')} there, of what ${name} is sent on to, is removed`] : []),
    ...(held.length > 0 ? [`${namesOf(held)} has a hold, and only a hold of zpsend's own is released`] : []),
  ];
  return parts.join('; ');
}

function renameWords(dataset: string, name: string, rename: Rename, { first, target, source }: Around): string {
  const { from, to } = rename;
  if (!isRotation(rename, name)) {
    return `${from} on ${target.host} is renamed to ${to}, as ${dataset} was on ${source.host}`;
  }
  const anew = first.origin === undefined ? 'is sent whole' : `begins as a clone of ${first.origin}`;
  return `${from} on ${target.host} is renamed to ${to} with all it has, and ${name} ${anew}; nothing is lost`;
}

const namesOf = (entries: readonly { name: string }[], sigil: '@' | '#' = '@'): string =>
  someOf(
    entries.map((entry) => entry.name),
    sigil,
    mostNames,
  );
