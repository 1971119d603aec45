import type { ReceiveConfig } from '../../schemas/config.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { datasetOf, isWithin, leafOf } from '../../schemas/names.ts';
import type { ReceiveStart } from '../../schemas/transfer.ts';

/** What `zfs list` shows of the names that matter to one receive; what does not exist is absent. */
export interface View {
  readonly name: string;
  readonly guid: string;
  readonly resumeToken?: string;
}

/**
 * May this source write there? (I11; the source proves itself later, on the data subject.)
 * @throws ZpsendError NOT_ALLOWED
 */
export function checkAllowed(start: ReceiveStart, host: string, config: Pick<ReceiveConfig, 'allow'>): void {
  const rules = config.allow.filter((rule) => rule.from === '*' || rule.from === start.source);
  if (!rules.some((rule) => isWithin(start.dataset, rule.into))) {
    const places = rules.map((rule) => rule.into).join(', ');
    throw new ZpsendError(
      'NOT_ALLOWED',
      `${start.source} may not write to ${start.dataset} on ${host}: ` +
        (places
          ? `its receiver allows ${places} and below`
          : `its receiver allows that host nothing (receive.allow in its configuration, or ZPSEND_ALLOW)`),
      { source: start.source, dataset: start.dataset },
    );
  }
  if (start.origin !== undefined && !rules.some((rule) => isWithin(datasetOf(start.origin ?? ''), rule.into))) {
    throw new ZpsendError('NOT_ALLOWED', `${start.source} may not clone ${start.origin} on ${host}`, {
      source: start.source,
      origin: start.origin,
    });
  }
}

const parentOf = (dataset: string): string | undefined =>
  dataset.includes('/') ? dataset.slice(0, dataset.lastIndexOf('/')) : undefined;

/** The snapshot that this step makes here. */
export const arrivalOf = (start: ReceiveStart): string => `${start.dataset}@${leafOf(start.to.name) ?? ''}`;

/** The names to look at before a receive, in one `zfs list`. */
export function namesToLookAt(start: ReceiveStart): string[] {
  const parent = parentOf(start.dataset);
  return [
    start.dataset,
    arrivalOf(start),
    ...(parent === undefined ? [] : [parent]),
    ...(start.origin === undefined ? [] : [start.origin]),
  ];
}

function checkFree(start: ReceiveStart, host: string, dataset: View | undefined, has: (name: string) => boolean): void {
  const parent = parentOf(start.dataset);
  if (dataset && !dataset.resumeToken) {
    throw new ZpsendError('EXISTS', `${start.dataset} exists on ${host} already, and a full stream would replace it`, {
      dataset: start.dataset,
    });
  }
  if (!dataset && parent === undefined) {
    throw new ZpsendError('NO_SUCH_DATASET', `there is no pool ${start.dataset} on ${host}`, {
      dataset: start.dataset,
    });
  }
  if (!dataset && parent !== undefined && !has(parent)) {
    throw new ZpsendError(
      'NO_SUCH_DATASET',
      `${parent} does not exist on ${host}, so ${start.dataset} has no place: zfs create -p -o canmount=off "${parent}"`,
      { dataset: parent },
    );
  }
}

/**
 * Can this step be received into what is there now? The base's guid is for `zfs receive` to check, which refuses without harm.
 * @returns the resume token of an interrupted receive, if there is one
 * @throws ZpsendError EXISTS, DIVERGED, BASE_MISSING, ORIGIN_MISSING, NO_SUCH_DATASET
 */
export function checkView(start: ReceiveStart, host: string, seen: readonly View[]): string | undefined {
  const byName = new Map(seen.map((view) => [view.name, view]));
  const dataset = byName.get(start.dataset);
  const arrived = byName.get(arrivalOf(start));
  if (arrived?.guid === start.to.guid) {
    throw new ZpsendError('EXISTS', `${arrived.name} is on ${host} already`, { snapshot: arrived.name });
  }
  if (arrived) {
    throw new ZpsendError('DIVERGED', `${host} has another snapshot named ${arrived.name} (guid ${arrived.guid})`, {
      snapshot: arrived.name,
      guid: arrived.guid,
    });
  }
  if (!start.from || start.origin !== undefined) checkFree(start, host, dataset, (name) => byName.has(name));
  else if (!dataset) {
    throw new ZpsendError('BASE_MISSING', `${start.dataset} does not exist on ${host}, so an incremental has no base`, {
      dataset: start.dataset,
    });
  }
  const origin = start.origin === undefined ? undefined : byName.get(start.origin);
  if (start.origin !== undefined && (!origin || origin.guid !== start.from?.guid)) {
    throw new ZpsendError('ORIGIN_MISSING', `${start.origin} on ${host} is not the snapshot to clone from`, {
      origin: start.origin,
    });
  }
  return dataset?.resumeToken;
}
