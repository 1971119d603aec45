import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import { isModified } from '../conflict/evidence.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import type { Refusal } from '../refusal.ts';
import { byName, type Inheritor, isRaw, isToCome, type KeyChanges, keyChanges } from './key-changes.ts';
import { joinNotes, lockedNotes, type NoteContext } from './key-notes.ts';
import { cannotBeOpened, type KeyWords, mayNotFollow, wouldLockOut, wouldNotOpen } from './key-refusals.ts';
import { compareWrappings, keyHolder, wrappingOfRoot } from './key-wrapping.ts';

export interface KeyContext extends NoteContext {
  /** Raw steps of the same job that are on the target. */
  arrived: readonly Step[];
}

/**
 * Plans in which every key on the target opens after them what it opened before: what would end that is refused, which may let
 * others go wrong, so that it is looked at again until nothing more is refused. Clones share what is refused, and so go with it. What goes by the key of a root that the same
 * plan brings, waits for that.
 */
export function withKeysKept(
  plans: readonly DatasetPlan[],
  context: KeyContext,
): { plans: DatasetPlan[]; notes: Note[] } {
  const from = byName(context.source);
  let kept = plans.map((plan) => refusedIf(plan, sourceLocked(plan, from, context.source.host)));
  for (;;) {
    const changes = keyChanges(kept, context.source, context.target, context.arrived);
    const refusals = keyRefusals(kept, changes, context);
    if (refusals.size === 0) {
      const notes = [...joinNotes(kept, changes, context), ...lockedNotes(changes, context)];
      return { plans: inOrderOfKeys(kept, changes), notes };
    }
    kept = kept.map((plan) => refusedIf(plan, refusals.get(plan)));
  }
}

const refusedIf = (plan: DatasetPlan, refusal: Refusal | undefined): DatasetPlan =>
  refusal ? { ...plan, steps: [], refusal } : plan;

function sourceLocked(plan: DatasetPlan, from: ReadonlyMap<string, DatasetEntry>, host: string): Refusal | undefined {
  const dataset = from.get(plan.sourceDataset);
  if (!dataset || !isRaw(plan)) return undefined;
  const isLocked = compareWrappings(dataset.wrapping, wrappingOfRoot(dataset, from)) === 'different';
  return isLocked ? cannotBeOpened(dataset, host) : undefined;
}

function keyRefusals(
  plans: readonly DatasetPlan[],
  { inheritors, broughtTo }: KeyChanges,
  { source, target }: KeyContext,
): Map<DatasetPlan, Refusal> {
  const there = byName(target);
  const byTarget = new Map(plans.map((plan) => [plan.targetDataset, plan]));
  const words: KeyWords = {
    source: source.host,
    target: target.host,
    planOf: (name) => byTarget.get(name),
    holderOf: (name) => keyHolder(name, there),
  };
  const refusals = new Map<DatasetPlan, Refusal>();
  const lockedOut = new Map<string, Inheritor[]>();
  for (const one of inheritors) {
    const written = one.after === 'same' && one.before !== 'different' ? modifiedBringers(one, there) : [];
    for (const plan of written) refusals.set(plan, mayNotFollow(plan, one, words));
    if (one.after === 'same') continue;
    for (const plan of one.own?.plans ?? []) refusals.set(plan, wouldNotOpen(one, words));
    // what is lost already is no reason
    if (isToCome(one.own) || one.before === 'different') continue;
    lockedOut.set(one.root, [...(lockedOut.get(one.root) ?? []), one]);
  }
  // an inheritor that is refused here is looked at again, with its root, once it has nothing to bring
  if (refusals.size > 0) return refusals;
  for (const [root, some] of lockedOut) {
    const brought = broughtTo(root);
    for (const plan of brought?.plans ?? []) if (brought) refusals.set(plan, wouldLockOut(root, brought, some, words));
  }
  return refusals;
}

/**
 * The plans that were to bring an inheritor the new key of its root, where each of them goes to what was written to since its
 * newest snapshot: zfs receive may refuse them all, and the root would have the new key already.
 */
function modifiedBringers(
  { own, fromRoot, rootNow }: Inheritor,
  there: ReadonlyMap<string, DatasetEntry>,
): DatasetPlan[] {
  if (!isToCome(own) || !isToCome(fromRoot) || compareWrappings(rootNow, fromRoot.wrapping) === 'same') return [];
  const mayEndModified = ({ targetDataset, steps: [first] }: DatasetPlan): boolean => {
    const existing = there.get(targetDataset);
    return existing !== undefined && isModified(existing) && first?.from !== undefined && first.origin === undefined;
  };
  return own.plans.every(mayEndModified) ? own.plans : [];
}

/** What gets a key that its root gets too waits for that one, unless the root has it already. */
function inOrderOfKeys(plans: readonly DatasetPlan[], { inheritors }: KeyChanges): DatasetPlan[] {
  const known = new Map<DatasetPlan, { root: string; keyFrom?: string }>();
  for (const { own, fromRoot, root, rootNow } of inheritors) {
    const bringer = fromRoot?.plans.find(({ targetDataset }) => targetDataset === root) ?? fromRoot?.plans[0];
    const waits = own && bringer && compareWrappings(own.wrapping, rootNow) !== 'same';
    for (const plan of own?.plans ?? []) known.set(plan, { root, ...(waits && { keyFrom: bringer.sourceDataset }) });
  }
  return plans.map((plan) => {
    const found = known.get(plan);
    if (!found) return plan;
    const { root, keyFrom } = found;
    const steps = plan.steps.map((step) => ({ ...step, encryptionRoot: root }));
    return { ...plan, steps, ...(keyFrom !== undefined && { keyFrom }) };
  });
}
