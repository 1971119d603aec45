import type { Note } from '../../../schemas/plan.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import type { KeyContext } from './encryption-roots.ts';
import { byName, isRaw, keyChanges } from './key-changes.ts';
import { compareWrappings, keyHolder, type Sameness } from './key-wrapping.ts';

type Sides = Pick<KeyContext, 'source' | 'target'>;

/** How much more of the target has to be listed before a plan changes the key of a root, to find its inheritors. */
export function unseenInheritors(plans: readonly DatasetPlan[], sides: Sides): 'pool' | 'tree' | undefined {
  const there = byName(sides.target);
  let more: 'tree' | undefined;
  for (const { holder, change } of rootChanges(plans, sides)) {
    if (change === 'different' || (change === 'unknown' && !there.has(holder))) return 'pool';
    if (change === 'unknown') more = 'tree';
  }
  return more;
}

/** The targets that are encryption roots, or clones of one, and whose key is known to change. */
export const changingRoots = (plans: readonly DatasetPlan[], sides: Sides): Set<string> =>
  new Set(
    rootChanges(plans, sides).flatMap(({ targetDataset, change }) => (change === 'different' ? [targetDataset] : [])),
  );

interface RootChange {
  targetDataset: string;
  /** The dataset whose key the target shares, if it is a clone; otherwise the target. */
  holder: string;
  change: Sameness;
}

/** How raw steps change the keys of encryption roots on the target. */
function rootChanges(plans: readonly DatasetPlan[], { source, target }: Sides): RootChange[] {
  const there = byName(target);
  const changes = keyChanges(plans, source, target, []);
  return plans.flatMap((plan): RootChange[] => {
    const existing = there.get(plan.targetDataset);
    const holder = existing && keyHolder(existing.name, there);
    const isRoots = existing?.encryptionRoot !== undefined && keyHolder(existing.encryptionRoot, there) === holder;
    if (!isRaw(plan) || !isRoots || holder === undefined) return [];
    const change = compareWrappings(existing.wrapping, changes.broughtTo(plan.targetDataset)?.wrapping);
    return [{ targetDataset: plan.targetDataset, holder, change }];
  });
}

/** Notes for a plan without the rest of the target's listing: which keys may change for unlisted inheritors. */
export function unseenNotes(plans: readonly DatasetPlan[], { source, target }: Sides): Note[] {
  if (unseenInheritors(plans, { source, target }) === undefined) return [];
  return plans.map(({ sourceDataset, targetDataset }) => ({
    kind: 'encryption-root',
    dataset: sourceDataset,
    message:
      `${targetDataset} on ${target.host} gets, or may get, another key. The listing does not show which datasets there inherit its key: they cannot ` +
      `be opened until they are sent too (-R)`,
  }));
}
