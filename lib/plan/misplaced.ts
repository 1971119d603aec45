import type { DatasetEntry } from '../../schemas/inventory.ts';
import { isLocked } from './keys.ts';
import { type Refusal, refuse } from './refusal.ts';

/** A dataset that a plan makes on the target. */
export interface Newcomer {
  /** The target's name for it. */
  name: string;
  source: { host: string; dataset: DatasetEntry };
  /** The target's snapshot that it is made a clone of. */
  origin: string | undefined;
}

/** What the target has for it, as far as its listing shows. */
export interface Place {
  /** The nearest dataset above that is there, or what the one takes after that the plan makes there. */
  above: DatasetEntry | undefined;
  /** What its encryption and key will be: those of what is above, for a clone those of its origin. */
  model: DatasetEntry | undefined;
  /** The parents that it lacks, topmost first. */
  missing: readonly string[];
}

/** Why a dataset cannot be made in its place, or would not be there as it is at the source. */
export function misplaced(newcomer: Newcomer, { above, model, missing }: Place, host: string): Refusal | undefined {
  const { name, origin, source } = newcomer;
  if (above?.type === 'volume') {
    return refuse('UNSUPPORTED', `${above.name} on ${host} is a volume, and nothing can lie below it.`, {
      details: { host, dataset: name, above: above.name },
    });
  }
  if (above && isLocked(above)) {
    return refuse(
      'KEY_REQUIRED',
      `${missing[0] ?? name} would have to be made on ${host}, and the key of ${above.name} above it is not loaded there: ` +
        `zfs load-key -r ${above.name}`,
      { details: { host, dataset: name, above: above.name } },
    );
  }
  if (model && isLocked(model)) {
    return refuse(
      'KEY_REQUIRED',
      `${name} would have to be made on ${host} as a clone of ${origin}, whose key is not loaded there: ` +
        `zfs load-key -r ${model.name}`,
      { details: { host, dataset: name, origin: origin ?? '' } },
    );
  }
  if (!model || !wouldBeInTheClear(newcomer, model)) return undefined;
  return refuse(
    'UNSUPPORTED',
    origin === undefined
      ? `${source.dataset.name} on ${source.host} is encrypted and ${model.name} on ${host} is not, so ${name} would lie there ` +
          'unencrypted: streams are not raw. Way out: a target below a dataset that is encrypted.'
      : `${source.dataset.name} on ${source.host} is encrypted and ${origin} on ${host} is not, so ${name}, as a clone of it, would ` +
          `lie there unencrypted: streams are not raw. Way out: send ${source.dataset.name} by itself and whole (-c), below ` +
          'a dataset that is encrypted.',
    { details: { host, dataset: name, ...(origin === undefined ? { above: model.name } : { origin }) } },
  );
}

/** Why an interrupted seed is not to go on: what it has left on the target is unencrypted. */
export function leftInTheClear(newcomer: Newcomer, left: DatasetEntry, host: string): Refusal | undefined {
  if (!wouldBeInTheClear(newcomer, left)) return undefined;
  const { name, source } = newcomer;
  return refuse(
    'UNSUPPORTED',
    `${source.dataset.name} on ${source.host} is encrypted and ${name} on ${host}, which an interrupted receive has left, is not, ` +
      `so it would lie there unencrypted: streams are not raw. Way out: zfs receive -A ${name} on ${host}, and a target ` +
      'below a dataset that is encrypted.',
    { details: { host, dataset: name } },
  );
}

const wouldBeInTheClear = ({ source }: Newcomer, model: DatasetEntry): boolean =>
  source.dataset.encryption !== 'off' && model.encryption === 'off';
