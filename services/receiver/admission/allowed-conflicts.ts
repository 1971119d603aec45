import { nameAfter } from '../../../lib/plan/conflict/after-resolution.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import type { AllowedConflict, ConflictResolution, Rename } from '../../../schemas/conflict.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, isWithin, parentOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { View } from './view.ts';

type Rule = Pick<ReceiveConfig['allow'][number], 'from' | 'into'> & { conflicts?: readonly AllowedConflict[] };

/** The other dataset that a step changes. It needs a lock, too (I1). */
export const otherName = ({ targetDataset, before }: ReceiveStart): string | undefined =>
  before?.kind === 'rename' ? (before.from === targetDataset ? before.to : before.from) : undefined;

/**
 * May the source request this conflict resolution? Checked before anything else (I5, I11).
 * @throws ZpsendError BAD_REQUEST if it does not fit the step, NOT_ALLOWED with the rule to add to the configuration
 */
export function checkResolution(start: ReceiveStart, host: string, allow: readonly Rule[]): void {
  const { before, sourceHost, targetDataset } = start;
  if (!before) return;
  if (!belongs(start, before)) {
    throw new ZpsendError('BAD_REQUEST', `the conflict resolution before ${start.to.name} does not fit that step`, {
      dataset: targetDataset,
    });
  }
  const [conflict, names]: [AllowedConflict, string[]] =
    before.kind === 'rollback' ? ['rollback', [targetDataset]] : ['rotate', [before.from, before.to]];
  for (const name of names) {
    const rules = allow.filter(({ from, into }) => (from === '*' || from === sourceHost) && isWithin(name, into));
    if (rules.some(({ conflicts }) => conflicts?.includes(conflict))) continue;
    const [rule] = rules;
    const remedy = rule
      ? `add conflicts: [${conflict}] to its rule {from: "${rule.from}", into: "${rule.into}"} in receive.allow there`
      : `no rule of receive.allow there lets it write to ${name}`;
    throw new ZpsendError(
      'NOT_ALLOWED',
      `${sourceHost} asks for ${inWords(before)} on ${host}, which its receiver does not allow, so nothing is changed there: ${remedy}`,
      { source: sourceHost, dataset: targetDataset, conflict },
    );
  }
}

/** A rollback goes to the base of the step. A rename frees the name of its dataset, or restores it. */
function belongs({ targetDataset, from, origin }: ReceiveStart, before: ConflictResolution): boolean {
  const makes = from === undefined || origin !== undefined;
  if (before.kind === 'rollback') {
    return !makes && datasetOf(before.to.name) === targetDataset && before.to.guid === from.guid;
  }
  const areDisjoint = !isWithin(before.from, before.to) && !isWithin(before.to, before.from);
  const fits = makes ? before.from === targetDataset : before.to === targetDataset;
  return areDisjoint && fits && parentOf(before.from) !== undefined;
}

const inWords = (before: ConflictResolution): string =>
  before.kind === 'rollback' ? `a rollback to ${before.to.name}` : `${before.from} to be renamed to ${before.to}`;

/** The names of a step before and after its rename. */
export function namesOfResolution({ before }: ReceiveStart, names: readonly string[]): string[] {
  if (before?.kind !== 'rename') return [];
  const { from, to } = before;
  return [from, to, ...names.map((name) => nameAfter(name, { from: to, to: from }))];
}

/**
 * The views as they are after the planned conflict resolution.
 * @throws ZpsendError DIVERGED where the target is not as planned
 */
export function viewAfter({ before }: ReceiveStart, host: string, seen: readonly View[]): readonly View[] {
  if (!before) return seen;
  if (before.kind === 'rollback') {
    const going = new Set(before.destroys.map(({ guid }) => guid));
    return seen.filter(({ name, guid }) => !(name.includes('@') && going.has(guid)));
  }
  if (isRenamed(before, host, seen)) return seen;
  return seen.map((view) => ({ ...view, name: nameAfter(view.name, before) }));
}

/**
 * Does the dataset have its new name already, for example after a crash between the rename and the receive (I9)?
 * @throws ZpsendError DIVERGED where it has neither name
 */
export function isRenamed(
  { from, to, guid }: Rename,
  host: string,
  seen: readonly Pick<View, 'name' | 'guid'>[],
): boolean {
  const [there, here] = [to, from].map((name) => seen.find((view) => view.name === name));
  if (there?.guid === guid) return true;
  if (here?.guid === guid && !there) return false;
  const why = there ? `there is another dataset ${to}` : `${from} is ${here ? 'another dataset' : 'not there'}`;
  throw new ZpsendError(
    'DIVERGED',
    `${from} on ${host} was to be renamed to ${to}, and ${why}: something changed since it was planned. Send again.`,
    { dataset: from, to },
  );
}
