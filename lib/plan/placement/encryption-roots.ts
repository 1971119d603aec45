import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import { isModified } from '../conflict/evidence.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import type { Refusal } from '../refusal.ts';
import { byName, type Inheritor, isRaw, isToCome, type KeyChanges, keyChanges } from './key-changes.ts';
import { joinNotes, lockedNotes, type NoteContext } from './key-notes.ts';
import { cannotBeOpened, mayNotFollow, type RefusalContext, wouldLockOut, wouldNotOpen } from './key-refusals.ts';
import { compareWrappings, keyHolder, wrappingOfRoot } from './key-wrapping.ts';

export interface KeyContext extends NoteContext {
  /** Raw steps of the same job that have arrived on the target. */
  arrived: readonly Step[];
}

/**
 * Plans after which every key on the target still opens the datasets that it opened before; refuses the others. A refusal may affect
 * other plans, so this repeats until there is no new one. Clones share a key, and are refused together. A dataset that inherits its
 * key from a root waits for the root's new key, if the same plan brings it.
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
  const hosts: RefusalContext = {
    source: source.host,
    target: target.host,
    planOf: (name) => byTarget.get(name),
    holderOf: (name) => keyHolder(name, there),
  };
  const refusals = new Map<DatasetPlan, Refusal>();
  const lockedOut = new Map<string, Inheritor[]>();
  for (const one of inheritors) {
    const written = one.after === 'same' && one.before !== 'different' ? modifiedBringers(one, there) : [];
    for (const plan of written) refusals.set(plan, mayNotFollow(plan, one, hosts));
    if (one.after === 'same') continue;
    for (const plan of one.own?.plans ?? []) refusals.set(plan, wouldNotOpen(one, hosts));
    // a dataset that is already locked out is not a reason
    if (isToCome(one.own) || one.before === 'different') continue;
    lockedOut.set(one.root, [...(lockedOut.get(one.root) ?? []), one]);
  }
  // the next round checks refused inheritors again, together with their root
  if (refusals.size > 0) return refusals;
  for (const [root, some] of lockedOut) {
    const brought = broughtTo(root);
    for (const plan of brought?.plans ?? []) if (brought) refusals.set(plan, wouldLockOut(root, brought, some, hosts));
  }
  return refusals;
}

/**
 * The plans that bring an inheritor the new key of its root, if all their targets were written to since their newest snapshot:
 * zfs receive may refuse all of them, after the root already has the new key.
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

/** A dataset whose encryption root gets a new key waits for it, unless the root already has that key. */
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
