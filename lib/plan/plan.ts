import type { Inventory } from '../../schemas/inventory.ts';
import { datasetOf, isWithin } from '../../schemas/names.ts';
import type { Plan, SendRequest } from '../../schemas/plan.ts';
import { datasetSteps } from './dataset-steps.ts';
import { findDataset } from './listing.ts';
import { originOnTarget } from './origin.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import { wantedOf } from './wanted.ts';

/**
 * The ordered steps that carry a request out, none when the target has all of it, or a refusal with its evidence.
 * Pure (I12): the same listings give the same plan. For a clone, `target` must list the whole pool of the target,
 * since the origin may be in any dataset of it.
 */
export function plan(request: SendRequest, source: Inventory, target: Inventory): Plan {
  const name = datasetOf(request.dataset);
  const targetName = request.to.dataset ?? name;
  const misfit = misfitOf(request, source, target);
  if (misfit) return misfit;

  const dataset = findDataset(source, name);
  if (dataset === undefined) return noSuchDataset(source, name);
  if (isRefusal(dataset)) return dataset;
  const wanted = wantedOf(request, source.host, dataset);
  if (isRefusal(wanted)) return wanted;
  const existing = findDataset(target, targetName);
  if (isRefusal(existing)) return existing;

  return datasetSteps({
    source: { host: source.host, dataset },
    target: { host: target.host, name: targetName, dataset: existing },
    wanted,
    originOnTarget: (guid) => originOnTarget(target, targetName, { name: dataset.origin?.name, guid }),
  });
}

/** A request that cannot be right whatever the datasets hold. */
function misfitOf(request: SendRequest, source: Inventory, target: Inventory): Refusal | undefined {
  const name = datasetOf(request.dataset);
  const targetName = request.to.dataset ?? name;
  if (request.to.host !== target.host) {
    return refuse(
      'BAD_REQUEST',
      `The request goes to ${request.to.host}, but the target's listing is of ${target.host}.`,
    );
  }
  if (source.host !== target.host || !isWithin(targetName, name)) return undefined;
  const problem = targetName === name ? 'itself' : `${targetName}, which lies inside it`;
  return refuse('BAD_REQUEST', `${name} on ${source.host} cannot be sent to ${problem}. Name another target.`, {
    details: { host: source.host, dataset: targetName },
  });
}

const noSuchDataset = ({ host, datasets }: Inventory, name: string): Refusal =>
  refuse(
    'NO_SUCH_DATASET',
    `${host} has no dataset ${name} (${datasets.length} listed). What it has: zpsend snapshots ${host}`,
    { details: { host, dataset: name } },
  );
