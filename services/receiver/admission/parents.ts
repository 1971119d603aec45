import { ZpsendError } from '../../../schemas/errors.ts';
import { elementsOf, isWithin, maxElements } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { View } from './view.ts';

/** `tank/a/b` to `tank` and `tank/a`, topmost first. */
export function ancestorsOf(targetDataset: string): string[] {
  const elements = targetDataset.split('/');
  return elements.slice(1).map((_, index) => elements.slice(0, index + 1).join('/'));
}

/**
 * Parents are created only where the source may write. @param places datasets at and below which it may
 * @throws ZpsendError NO_SUCH_DATASET
 */
export function checkMadeWithin(
  places: readonly string[],
  missing: readonly string[],
  source: string,
  host: string,
): void {
  const outside = missing.filter((name) => !places.some((into) => isWithin(name, into))).at(-1);
  if (outside === undefined) return;
  throw new ZpsendError(
    'NO_SUCH_DATASET',
    `${outside} does not exist on ${host}, and ${source} may write only below it: zfs create -p -o canmount=off "${outside}"`,
    { dataset: outside },
  );
}

/**
 * The missing parents of a new dataset, topmost first. Only planned ones are created: a placeholder in place of a dataset that is
 * gone would block its return. Nothing is created outside of `places`, where the source may write. New datasets take their encryption
 * from the nearest existing one, so its key has to be loaded.
 * @throws ZpsendError NO_SUCH_DATASET, UNSUPPORTED, KEY_REQUIRED, BAD_REQUEST
 */
export function missingParents(
  start: ReceiveStart,
  host: string,
  seen: ReadonlyMap<string, View>,
  places: readonly string[],
): string[] {
  const { targetDataset, sourceHost } = start;
  const ancestors = ancestorsOf(targetDataset);
  const missing = ancestors.filter((name) => !seen.has(name));
  const nearest = seen.get(ancestors[ancestors.length - missing.length - 1] ?? '');
  if (!nearest) {
    const [pool = targetDataset] = ancestors;
    throw new ZpsendError('NO_SUCH_DATASET', `there is no pool ${pool} on ${host}`, { dataset: pool });
  }
  if (nearest.type === 'volume') {
    throw new ZpsendError(
      'UNSUPPORTED',
      `${nearest.name} on ${host} is a volume, so ${targetDataset} cannot be created below it`,
      { dataset: targetDataset, above: nearest.name },
    );
  }
  checkMadeWithin(places, missing, sourceHost, host);
  // a raw stream brings its own key; an empty parent needs one
  if (nearest.keystatus === 'unavailable' && !(start.raw && missing.length === 0)) {
    const made = missing.length > 0 ? missing.join(', ') : targetDataset;
    throw new ZpsendError(
      'KEY_REQUIRED',
      `${made} cannot be created below ${nearest.name} on ${host}, whose key is not loaded: ` +
        `load it with zfs load-key`,
      { dataset: targetDataset, above: nearest.name },
    );
  }
  const deep = missing.find((name) => elementsOf(name) > maxElements);
  if (deep !== undefined) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `${deep} does not exist on ${host}, and zfs creates names of ${maxElements} elements at most: choose a target with fewer elements`,
      { dataset: deep, elements: elementsOf(deep), most: maxElements },
    );
  }
  const unplanned = missing.find((name) => !start.parents?.includes(name));
  if (unplanned !== undefined) {
    throw new ZpsendError(
      'NO_SUCH_DATASET',
      `${unplanned} does not exist on ${host}, and ${targetDataset} is to be created below it. If it was renamed or destroyed while its ` +
        'package was sent, send again: a new plan is made',
      { reason: 'parent-not-planned', dataset: unplanned },
    );
  }
  return missing;
}
