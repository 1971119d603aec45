import type { Bus } from '../../lib/bus/connect.ts';
import { requestInventory } from '../../lib/bus/listing.ts';
import { plan } from '../../lib/plan/plan.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { DatasetEntry, Inventory } from '../../schemas/inventory.ts';
import { datasetOf } from '../../schemas/names.ts';
import type { Plan, SendRequest } from '../../schemas/plan.ts';

export interface PlanningDeps {
  readonly host: string;
  readonly zfs: Zfs;
  readonly bus: Bus;
}

export interface Planned {
  readonly plan: Plan;
  readonly source: Inventory;
  readonly target: Inventory;
}

/** What a receiver has of a dataset, or of everything; a dataset that is not there is an empty listing. */
async function listTarget(bus: Bus, host: string, dataset: string | undefined): Promise<Inventory> {
  try {
    return await requestInventory(bus, host, dataset === undefined ? {} : { dataset });
  } catch (error) {
    if (error instanceof ZpsendError && error.code === 'NO_SUCH_DATASET') return { host, datasets: [] };
    throw error;
  }
}

/** A clone may come from any dataset of the target, so its first step needs the whole listing. */
const needsOrigin = (source: DatasetEntry | undefined, target: Inventory): boolean =>
  source?.origin !== undefined && !target.datasets.some((dataset) => dataset.snapshots.length > 0);

/**
 * Lists both sides once and plans.
 * @throws ZpsendError what a listing failed with; a refused plan is a result, not an error
 */
export async function makePlan(deps: PlanningDeps, request: SendRequest): Promise<Planned> {
  const dataset = datasetOf(request.dataset);
  const wanted = request.to.dataset ?? dataset;
  const [datasets, first] = await Promise.all([
    deps.zfs.list({ dataset }),
    listTarget(deps.bus, request.to.host, wanted),
  ]);
  const source: Inventory = { host: deps.host, datasets };
  const target = needsOrigin(
    datasets.find((entry) => entry.name === dataset),
    first,
  )
    ? await listTarget(deps.bus, request.to.host, undefined)
    : first;
  return { plan: plan(request, source, target), source, target };
}
