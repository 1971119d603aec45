import type { Note } from '../../../schemas/plan.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import type { KeyContext } from './encryption-roots.ts';
import { byName, isRaw, keyChanges } from './key-changes.ts';
import { compareWrappings, keyHolder, type Sameness } from './key-wrapping.ts';

type Sides = Pick<KeyContext, 'source' | 'target'>;

/** Which more of the target has to be seen before a plan changes the key of a root: who takes it from there. */
export function unseenInheritors(plans: readonly DatasetPlan[], sides: Sides): 'pool' | 'tree' | undefined {
  const there = byName(sides.target);
  let more: 'tree' | undefined;
  for (const { holder, change } of rootChanges(plans, sides)) {
    if (change === 'different' || (change === 'unknown' && !there.has(holder))) return 'pool';
    if (change === 'unknown') more = 'tree';
  }
  return more;
}

/** The targets whose own key, or that of what they share it with, is known to become another one, and which is an encryption root. */
export const changingRoots = (plans: readonly DatasetPlan[], sides: Sides): Set<string> =>
  new Set(rootChanges(plans, sides).flatMap(({ target, change }) => (change === 'different' ? [target] : [])));

interface RootChange {
  target: string;
  /** Whose key it is, where the target is a clone. */
  holder: string;
  change: Sameness;
}

/** What raw steps make of the keys of encryption roots on the target. */
function rootChanges(plans: readonly DatasetPlan[], { source, target }: Sides): RootChange[] {
  const there = byName(target);
  const changes = keyChanges(plans, source, target, []);
  return plans.flatMap((plan): RootChange[] => {
    const existing = there.get(plan.targetDataset);
    const holder = existing && keyHolder(existing.name, there);
    const isRoots = existing?.encryptionRoot !== undefined && keyHolder(existing.encryptionRoot, there) === holder;
    if (!isRaw(plan) || !isRoots || holder === undefined) return [];
    const change = compareWrappings(existing.wrapping, changes.broughtTo(plan.targetDataset)?.wrapping);
    return [{ target: plan.targetDataset, holder, change }];
  });
}

/** Where no more of the target is to be seen, a plan of one dataset says what it does not know. */
export function unseenNotes(plans: readonly DatasetPlan[], { source, target }: Sides): Note[] {
  if (unseenInheritors(plans, { source, target }) === undefined) return [];
  return plans.map(({ sourceDataset, targetDataset: name }) => ({
    kind: 'encryption-root',
    dataset: sourceDataset,
    message:
      `${name} on ${target.host} gets, or may get, another key, and it is not known what takes its key from it there: whatever does cannot ` +
      `be opened until it is sent too (-R)`,
  }));
}
