import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { requestInventory } from '../../../lib/bus/rpc/inventory-parts.ts';
import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import { policyOf } from '../../../lib/plan/conflict/resolve.ts';
import type { DatasetPlans } from '../../../lib/plan/dataset-plan.ts';
import { unseenInheritors } from '../../../lib/plan/placement/unseen-inheritors.ts';
import { planDatasets } from '../../../lib/plan/plan.ts';
import { isRefusal, type Refusal } from '../../../lib/plan/refusal.ts';
import { targetRoot } from '../../../lib/plan/request/target-name.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { SnapshotsRequest } from '../../../schemas/host.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, parentOf, poolOf } from '../../../schemas/names.ts';
import type { SendRequest, Step } from '../../../schemas/plan.ts';
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
  /** What the target had when it was seen last, where `target` is what it will have. */
  readonly known?: Inventory;
}

/**
 * Lists both sides once and plans each dataset, when it is this target's turn.
 * @param peer the target's machine, learnt from its first reply
 * @param arrived steps of the same job that are on the target
 * @throws ZpsendError what a listing failed with; a refused plan is a result, not an error
 */
export const makePlans = (
  deps: PlanningDeps,
  request: SendRequest,
  peer: Peer,
  arrived: readonly Step[] = [],
): Promise<Planned> => deps.turns(request.to.host, () => listAndPlan(deps, request, peer, arrived));

async function listAndPlan(
  deps: PlanningDeps,
  request: SendRequest,
  peer: Peer,
  arrived: readonly Step[],
): Promise<Planned> {
  const recursive = request.package !== undefined;
  const [datasets, target] = await Promise.all([
    deps.zfs.list({ dataset: datasetOf(request.dataset), recursive, creation: true }),
    listTarget(deps.bus, peer, targetRoot(request), recursive),
  ]);
  const source: Inventory = { host: deps.host, datasets, ...(await usedFeatures(deps.zfs, request, target)) };
  const plans = planDatasets(request, source, target, arrived);
  // an origin, a clone, a name that is taken, what takes its key from another: it may be any dataset of the target's pool
  const keys = isRefusal(plans) ? undefined : unseenInheritors(plans.datasets, { source, target });
  const needsPool = lacksOrigin(plans) || mayNeedMore(request, plans) || keys === 'pool';
  if (!needsPool && (keys === undefined || recursive)) return { plans, source, target };
  const root = targetRoot(request);
  const what = { dataset: needsPool ? poolOf(root) : root, recursive: true };
  const more = await requestInventory(deps.bus, request.to.host, what, { peer, bare: true });
  return { plans: planDatasets(request, source, more, arrived), source, target: more };
}

/** What the source's pool uses, asked for only where the target's pool may lack some of it. */
async function usedFeatures(zfs: Zfs, request: SendRequest, target: Inventory): Promise<Pick<Inventory, 'active'>> {
  const there = target.features?.[poolOf(targetRoot(request))];
  if (!there || streamFeatureSchema.options.every((feature) => there.includes(feature))) return {};
  const facts = await zfs.poolFacts(poolOf(request.dataset));
  return facts ? { active: facts.active } : {};
}

const makesDataset = ({ type, origin }: Step): boolean => type === 'full' || origin !== undefined;

const lacksOrigin = (plans: DatasetPlans | Refusal): boolean =>
  isRefusal(plans)
    ? plans.error.code === 'ORIGIN_MISSING'
    : plans.datasets.some(({ refusal }) => refusal?.error.code === 'ORIGIN_MISSING');

/** Under a policy that changes the target, all that the change may touch is looked at, as long as there is something to change. */
function mayNeedMore(request: SendRequest, plans: DatasetPlans | Refusal): boolean {
  if (!policyOf(request) || isRefusal(plans)) return false;
  return plans.datasets.some(
    ({ steps: [first], refusal }) =>
      refusal !== undefined || first?.before !== undefined || (first && makesDataset(first)),
  );
}

/**
 * What a receiver has of a dataset; where it is not there, the nearest dataset above it, without what else lies below that.
 * @throws ZpsendError NO_SUCH_DATASET when there is not even its pool
 */
async function listTarget(bus: Bus, peer: Peer, root: string, recursive: boolean): Promise<Inventory> {
  const { host } = peer;
  const there = await listIfThere(bus, peer, { dataset: root, recursive }, recursive);
  if (there) return there;
  for (let above = parentOf(root); above !== undefined; above = parentOf(above)) {
    const found = await listIfThere(bus, peer, { dataset: above }, true);
    if (found) return found;
  }
  throw new ZpsendError(
    'NO_SUCH_DATASET',
    `there is no pool ${poolOf(root)} on ${host}, so ${root} has no place there. What it has: zpsend hosts`,
    { host, dataset: root, pool: poolOf(root) },
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
