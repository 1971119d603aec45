import type { DatasetPlan } from '../../../lib/plan/items.ts';
import { type Refusal, refuse } from '../../../lib/plan/refusal.ts';
import { needsOf } from '../needs.ts';

/** Targets, by name, of which too little is known to store anything for them. */
export interface Unsettled {
  /** It is not known how they began, or what keys they have. */
  readonly unsure: ReadonlySet<string>;
  /** They would get another key, and what takes its key from them by now is not known. */
  readonly newKeys: ReadonlySet<string>;
}

/** The plans that may be stored: what cannot be is refused, with all that needs something of it. */
export function storable(plans: readonly DatasetPlan[], host: string, unsettled: Unsettled): DatasetPlan[] {
  const needs = needsOf(plans);
  const kept: DatasetPlan[] = [];
  const notStored = new Map<number, string>();
  for (const [at, plan] of plans.entries()) {
    const lacking = needs[at]?.map(({ chain }) => notStored.get(chain)).find((name) => name !== undefined);
    const own = refusalOf(plan, host, unsettled);
    const refusal = own ?? (lacking === undefined ? undefined : notWithout(plan, lacking, host));
    if (refusal) notStored.set(at, plan.dataset);
    kept.push(refusal ? { ...plan, steps: [], refusal } : plan);
  }
  return kept;
}

function refusalOf(plan: DatasetPlan, host: string, { unsure, newKeys }: Unsettled): Refusal | undefined {
  if (plan.steps.length === 0) return undefined;
  if (unsure.has(plan.target)) return ofUnsure(plan, host);
  return newKeys.has(plan.target) ? ofNewKey(plan, host) : undefined;
}

/**
 * Nothing is sent into a chain of which it is not known how it goes on: large blocks that come and go have zeroed files (openzfs#6224), and a raw
 * stream may bring a key that locks out what takes its key from the dataset there.
 */
function ofUnsure({ dataset, target, steps }: DatasetPlan, host: string): Refusal {
  const isRaw = steps.some(({ flags }) => flags?.includes('raw'));
  const unknown = isRaw
    ? `which keys ${target} on ${host} has`
    : `whether ${target} on ${host} began with large blocks`;
  const way = isRaw ? '' : ', or with --large-block or --no-large-block, as it began';
  return refuse(
    'UNSUPPORTED',
    `${unknown} is not known on this host, so nothing is stored for ${dataset}. Way out: send it with --channel auto while ${host} answers${way}.`,
    { details: { host, dataset: target } },
  );
}

/** Since it was seen last, something may have been joined to it there (`zfs change-key -i`), and would be locked out. */
const ofNewKey = ({ dataset, target }: DatasetPlan, host: string): Refusal =>
  refuse(
    'UNSUPPORTED',
    `${dataset} had a change-key, and what takes its key from ${target} on ${host} by now is not known on this host: whatever does could ` +
      `not be opened any more, so nothing is stored for ${dataset}. Way out: send it once with --channel auto or direct while ${host} answers.`,
    { details: { host, dataset: target } },
  );

const notWithout = ({ dataset, target }: DatasetPlan, needed: string, host: string): Refusal =>
  refuse(
    'UNSUPPORTED',
    `${dataset} needs ${needed}, for which nothing is stored, on ${host} first. Way out: send both once with --channel auto or direct while ` +
      `${host} answers.`,
    { details: { host, dataset: target, needs: needed } },
  );
