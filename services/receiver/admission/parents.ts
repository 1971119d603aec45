import { ZpsendError } from '../../../schemas/errors.ts';
import { elementsOf, isWithin, maxElements } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { View } from './view.ts';

/** `tank/a/b` to `tank` and `tank/a`, topmost first. */
export function ancestorsOf(dataset: string): string[] {
  const elements = dataset.split('/');
  return elements.slice(1).map((_, index) => elements.slice(0, index + 1).join('/'));
}

/**
 * Parents are made only where the source may write. @param places where that is
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
 * The parents that a new dataset lacks, topmost first: placeholders to make below what is there, and only those that were
 * planned: in the place of a dataset that is gone, an empty one would shut it out. `places` is where the source may write,
 * and nothing is made above. What is made takes its encryption from the nearest dataset that is there, the new dataset
 * itself too, so that one's key has to be loaded whether a parent is missing or not.
 * @throws ZpsendError NO_SUCH_DATASET, UNSUPPORTED, KEY_REQUIRED, BAD_REQUEST
 */
export function missingParents(
  start: ReceiveStart,
  host: string,
  seen: ReadonlyMap<string, View>,
  places: readonly string[],
): string[] {
  const { dataset, source } = start;
  const ancestors = ancestorsOf(dataset);
  const missing = ancestors.filter((name) => !seen.has(name));
  const nearest = seen.get(ancestors[ancestors.length - missing.length - 1] ?? '');
  if (!nearest) {
    const [pool = dataset] = ancestors;
    throw new ZpsendError('NO_SUCH_DATASET', `there is no pool ${pool} on ${host}`, { dataset: pool });
  }
  if (nearest.type === 'volume') {
    throw new ZpsendError(
      'UNSUPPORTED',
      `${nearest.name} on ${host} is a volume, and nothing can lie below it, so ${dataset} has no place there`,
      { dataset, above: nearest.name },
    );
  }
  checkMadeWithin(places, missing, source, host);
  // what arrives raw brings its own key; an empty parent needs one
  if (nearest.keystatus === 'unavailable' && !(start.raw && missing.length === 0)) {
    const made = missing.length > 0 ? missing.join(', ') : dataset;
    throw new ZpsendError(
      'KEY_REQUIRED',
      `${made} would have to be made below ${nearest.name} on ${host}, whose key is not loaded there: ` +
        `load it with zfs load-key`,
      { dataset, above: nearest.name },
    );
  }
  const deep = missing.find((name) => elementsOf(name) > maxElements);
  if (deep !== undefined) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `${deep} does not exist on ${host}, and zfs creates names of ${maxElements} elements at most: choose a target that lies less deep`,
      { dataset: deep, elements: elementsOf(deep), most: maxElements },
    );
  }
  const unplanned = missing.find((name) => !start.parents?.includes(name));
  if (unplanned !== undefined) {
    throw new ZpsendError(
      'NO_SUCH_DATASET',
      `${unplanned} does not exist on ${host}, and ${dataset} is to lie below it. If it was renamed or destroyed while its ` +
        'package was sent: send again, and it begins with what is there',
      { reason: 'parent-not-planned', dataset: unplanned },
    );
  }
  return missing;
}
