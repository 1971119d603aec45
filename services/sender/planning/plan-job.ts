import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { requestInventory } from '../../../lib/bus/rpc/inventory-parts.ts';
import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import { conflictPolicyOf } from '../../../lib/plan/conflict/resolve.ts';
import type { DatasetPlans } from '../../../lib/plan/dataset-plan.ts';
import { unseenInheritors } from '../../../lib/plan/placement/unseen-inheritors.ts';
import { planDatasets } from '../../../lib/plan/plan.ts';
import { isRefusal, type Refusal } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { SnapshotsRequest } from '../../../schemas/host.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { parentOf, poolOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import { streamFeatureSchema } from '../../../schemas/stream.ts';
import type { PlanTurns } from './plan-turns.ts';

export interface PlanningDeps {
  readonly host: string;
  readonly zfs: Zfs;
  readonly bus: Bus;
  /** Of all jobs and requests of this sender. */
  readonly turns: PlanTurns;
}

export interface Planned {
  readonly plans: DatasetPlans | Refusal;
  readonly source: Inventory;
  readonly target: Inventory;
  /** The target's last listing, if `target` is a prediction. */
  readonly known?: Inventory;
}

/**
 * Lists both sides once and plans each dataset, when it is this target's turn.
 * @param peer the target's machine, set by its first reply
 * @param arrived steps of the same job that are on the target
 * @throws ZpsendError the error of a listing; a refused plan is a result, not an error
 */
export const makePlans = (
  deps: PlanningDeps,
  context: JobContext,
  peer: Peer,
  arrived: readonly Step[] = [],
): Promise<Planned> => deps.turns(context.targetHost, () => listAndPlan(deps, context, peer, arrived));

async function listAndPlan(
  deps: PlanningDeps,
  context: JobContext,
  peer: Peer,
  arrived: readonly Step[],
): Promise<Planned> {
  const { sourceDataset, targetHost, targetDataset, isRecursive: recursive } = context;
  const [datasets, target] = await Promise.all([
    deps.zfs.list({ dataset: sourceDataset, recursive, creation: true }),
    listTarget(deps.bus, peer, targetDataset, recursive),
  ]);
  const source: Inventory = { host: deps.host, datasets, ...(await usedFeatures(deps.zfs, context, target)) };
  const plans = planDatasets(context, source, target, arrived);
  // an origin, a clone, an existing name, an encryption root: each may be anywhere in the target's pool
  const keys = isRefusal(plans) ? undefined : unseenInheritors(plans.datasets, { source, target });
  const needsPool = lacksOrigin(plans) || mayNeedMore(context, plans) || keys === 'pool';
  if (!needsPool && (keys === undefined || recursive)) return { plans, source, target };
  const what = { dataset: needsPool ? poolOf(targetDataset) : targetDataset, recursive: true };
  const more = await requestInventory(deps.bus, targetHost, what, { peer, bare: true });
  return { plans: planDatasets(context, source, more, arrived), source, target: more };
}

/** The features that the source's pool uses; read only if the target's pool may lack one. */
async function usedFeatures(zfs: Zfs, context: JobContext, target: Inventory): Promise<Pick<Inventory, 'active'>> {
  const there = target.features?.[poolOf(context.targetDataset)];
  if (!there || streamFeatureSchema.options.every((feature) => there.includes(feature))) return {};
  const facts = await zfs.poolFacts(poolOf(context.sourceDataset));
  return facts ? { active: facts.active } : {};
}

const makesDataset = ({ type, origin }: Step): boolean => type === 'full' || origin !== undefined;

const lacksOrigin = (plans: DatasetPlans | Refusal): boolean =>
  isRefusal(plans)
    ? plans.error.code === 'ORIGIN_MISSING'
    : plans.datasets.some(({ refusal }) => refusal?.error.code === 'ORIGIN_MISSING');

/** Under a conflict policy that changes the target, everything that a change may touch is listed. */
function mayNeedMore({ request }: JobContext, plans: DatasetPlans | Refusal): boolean {
  if (!conflictPolicyOf(request) || isRefusal(plans)) return false;
  return plans.datasets.some(
    ({ steps: [first], refusal }) =>
      refusal !== undefined || first?.before !== undefined || (first && makesDataset(first)),
  );
}

/**
 * The target's listing of a dataset; if the dataset does not exist, of the nearest one above it, without its other descendants.
 * @throws ZpsendError NO_SUCH_DATASET if its pool is missing too
 */
async function listTarget(bus: Bus, peer: Peer, targetDataset: string, recursive: boolean): Promise<Inventory> {
  const { host } = peer;
  const there = await listIfThere(bus, peer, { dataset: targetDataset, recursive }, recursive);
  if (there) return there;
  for (let above = parentOf(targetDataset); above !== undefined; above = parentOf(above)) {
    const found = await listIfThere(bus, peer, { dataset: above }, true);
    if (found) return found;
  }
  throw new ZpsendError(
    'NO_SUCH_DATASET',
    `${host} has no pool ${poolOf(targetDataset)}, so ${targetDataset} cannot be created there. zpsend hosts shows its pools`,
    { host, dataset: targetDataset, pool: poolOf(targetDataset) },
  );
}

async function listIfThere(
  bus: Bus,
  peer: Peer,
  what: SnapshotsRequest,
  bare: boolean,
): Promise<Inventory | undefined> {
  try {
    return await requestInventory(bus, peer.host, what, { peer, bare });
  } catch (error) {
    if (error instanceof ZpsendError && error.code === 'NO_SUCH_DATASET') return undefined;
    throw error;
  }
}
