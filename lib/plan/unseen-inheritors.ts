import type { Note } from '../../schemas/plan.ts';
import type { KeyContext } from './encryption-roots.ts';
import type { DatasetPlan } from './items.ts';
import { byName, isRaw, keyChanges } from './key-changes.ts';
import { compareWrappings, keyHolder } from './key-wrapping.ts';

/** Which more of the target has to be seen before a plan changes the key of a root: who takes it from there. */
export function unseenInheritors(
  plans: readonly DatasetPlan[],
  { source, target }: Pick<KeyContext, 'source' | 'target'>,
): 'pool' | 'tree' | undefined {
  const there = byName(target);
  const changes = keyChanges(plans, source, target, []);
  let more: 'tree' | undefined;
  for (const plan of plans) {
    const existing = there.get(plan.target);
    const holder = existing && keyHolder(existing.name, there);
    const isRoots = existing?.encryptionRoot !== undefined && keyHolder(existing.encryptionRoot, there) === holder;
    if (!isRaw(plan) || !isRoots) continue;
    const change = compareWrappings(existing.wrapping, changes.broughtTo(plan.target)?.wrapping);
    if (change === 'different' || (change === 'unknown' && !there.has(holder ?? ''))) return 'pool';
    if (change === 'unknown') more = 'tree';
  }
  return more;
}

/** Where no more of the target is to be seen, a plan of one dataset says what it does not know. */
export function unseenNotes(
  plans: readonly DatasetPlan[],
  { source, target }: Pick<KeyContext, 'source' | 'target'>,
): Note[] {
  if (unseenInheritors(plans, { source, target }) === undefined) return [];
  return plans.map(({ dataset, target: name }) => ({
    kind: 'encryption-root',
    dataset,
    message:
      `${name} on ${target.host} gets, or may get, another key, and it is not known what takes its key from it there: whatever does cannot ` +
      `be opened until it is sent too (-R)`,
  }));
}
