import { nameAfter } from '../../../lib/plan/conflict/after-resolution.ts';
import type { ReceiveConfig } from '../../../schemas/config.ts';
import type { AllowedConflict, Clearing, Rename } from '../../../schemas/conflict.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, isWithin, parentOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { View } from './view.ts';

type Rule = Pick<ReceiveConfig['allow'][number], 'from' | 'into'> & { conflicts?: readonly AllowedConflict[] };

/** The other dataset that a step changes besides its own: it has a lock too (I1). */
export const otherName = ({ dataset, before }: ReceiveStart): string | undefined =>
  before?.kind === 'rename' ? (before.from === dataset ? before.to : before.from) : undefined;

/**
 * May the source have that done to the target? Asked before anything else is (I5, I11).
 * @throws ZpsendError BAD_REQUEST where it does not belong to the step, NOT_ALLOWED with what to add to the configuration
 */
export function checkClearing(start: ReceiveStart, host: string, allow: readonly Rule[]): void {
  const { before, source, dataset } = start;
  if (!before) return;
  if (!belongs(start, before)) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `what is to be done before ${start.to.name} is received does not fit that step`,
      {
        dataset,
      },
    );
  }
  const [conflict, names]: [AllowedConflict, string[]] =
    before.kind === 'rollback' ? ['rollback', [dataset]] : ['rotate', [before.from, before.to]];
  for (const name of names) {
    const rules = allow.filter(({ from, into }) => (from === '*' || from === source) && isWithin(name, into));
    if (rules.some(({ conflicts }) => conflicts?.includes(conflict))) continue;
    const [rule] = rules;
    const mend = rule
      ? `add conflicts: [${conflict}] to its rule {from: "${rule.from}", into: "${rule.into}"} in receive.allow there`
      : `no rule of receive.allow there lets it write to ${name}`;
    throw new ZpsendError(
      'NOT_ALLOWED',
      `${source} asks for ${inWords(before)} on ${host}, which its receiver does not allow, so nothing is changed there: ${mend}`,
      { source, dataset, conflict },
    );
  }
}

/** A rollback goes to the very base of the step; a renaming makes its place, or brings its dataset there. */
function belongs({ dataset, from, origin }: ReceiveStart, before: Clearing): boolean {
  const makes = from === undefined || origin !== undefined;
  if (before.kind === 'rollback') {
    return !makes && datasetOf(before.to.name) === dataset && before.to.guid === from.guid;
  }
  const isApart = !isWithin(before.from, before.to) && !isWithin(before.to, before.from);
  const fits = makes ? before.from === dataset : before.to === dataset;
  return isApart && fits && parentOf(before.from) !== undefined;
}

const inWords = (before: Clearing): string =>
  before.kind === 'rollback' ? `a rollback to ${before.to.name}` : `${before.from} to be renamed to ${before.to}`;

/** What names of a step are before a renaming, and after it. */
export function namesOfClearing({ before }: ReceiveStart, names: readonly string[]): string[] {
  if (before?.kind !== 'rename') return [];
  const { from, to } = before;
  return [from, to, ...names.map((name) => nameAfter(name, { from: to, to: from }))];
}

/**
 * The view as it will be once the target is cleared, where it is not yet.
 * @throws ZpsendError DIVERGED where what is there is not what was planned for
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
 * Has the dataset its new name already? So it is after a crash between the renaming and the receive (I9).
 * @throws ZpsendError DIVERGED where neither is so
 */
export function isRenamed(
  { from, to, guid }: Rename,
  host: string,
  seen: readonly Pick<View, 'name' | 'guid'>[],
): boolean {
  const [there, here] = [to, from].map((name) => seen.find((view) => view.name === name));
  if (there?.guid === guid) return true;
  if (here?.guid === guid && !there) return false;
  const why = there ? `there is another dataset ${to}` : `${from} is ${here ? 'another dataset now' : 'not there'}`;
  throw new ZpsendError(
    'DIVERGED',
    `${from} on ${host} was to be renamed to ${to}, and ${why}: something changed since it was planned. Send again.`,
    { dataset: from, to },
  );
}
