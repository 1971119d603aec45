import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { Note } from '../../../schemas/plan.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { isLocked } from './keys.ts';

/** A dataset that a plan makes on the target. */
export interface NewDataset {
  /** The target's name for it. */
  name: string;
  source: { host: string; dataset: DatasetEntry };
  /** The target's snapshot that it is made a clone of. */
  origin: string | undefined;
  /** It arrives encrypted as it is at the source, with its own key. */
  raw: boolean;
  /** Its stream carries embedded data (`--embed`), which only what is not encrypted has. */
  embed: boolean;
  /** It was asked for that it may lie unencrypted (`--no-raw`). */
  mayBeInTheClear: boolean;
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
export function placementRefusal(
  newDataset: NewDataset,
  { above, model, missing }: Place,
  host: string,
): Refusal | undefined {
  const { name, origin, raw } = newDataset;
  if (above?.type === 'volume') {
    return refuse('UNSUPPORTED', `${above.name} on ${host} is a volume, and nothing can lie below it.`, {
      details: { host, dataset: name, above: above.name },
    });
  }
  // what is raw brings its own key; a placeholder above it needs one
  if (above && isLocked(above) && (!raw || missing.length > 0)) {
    return refuse(
      'KEY_REQUIRED',
      `${missing[0] ?? name} would have to be made on ${host}, and the key of ${above.name} above it is not loaded there: ` +
        `zfs load-key -r ${above.name}`,
      { details: { host, dataset: name, above: above.name } },
    );
  }
  if (model && isLocked(model) && !raw) {
    return refuse(
      'KEY_REQUIRED',
      `${name} would have to be made on ${host} as a clone of ${origin}, whose key is not loaded there: ` +
        `zfs load-key -r ${model.name}`,
      { details: { host, dataset: name, origin: origin ?? '' } },
    );
  }
  const unfit = model && embeddedInEncrypted(newDataset, model, host);
  if (unfit) return unfit;
  if (!model || newDataset.mayBeInTheClear || !wouldBeInTheClear(newDataset, model)) return undefined;
  return refuse('UNSUPPORTED', `${inTheClear(newDataset, origin ?? model.name, host)} ${waysOut(newDataset)}`, {
    details: { host, dataset: name, ...(origin === undefined ? { above: model.name } : { origin }) },
  });
}

/**
 * Why a stream of embedded data cannot be received into what is encrypted (openzfs#10732, openzfs#8886): older releases say
 * that the kernel modules must be upgraded. An encrypted source has no embedded data, whatever is asked.
 */
export function embeddedInEncrypted(
  { name, source, embed }: NewDataset,
  { encryption }: DatasetEntry,
  host: string,
): Refusal | undefined {
  if (!embed || encryption === 'off' || source.dataset.encryption !== 'off') return undefined;
  return refuse(
    'UNSUPPORTED',
    `${name} on ${host} is encrypted, or will be, and takes no embedded data of ${source.dataset.name}. Way out: send it without --embed.`,
    { details: { host, dataset: name } },
  );
}

/** Why an interrupted seed is not to go on: what it has left on the target is unencrypted. */
export function leftInTheClear(newDataset: NewDataset, left: DatasetEntry, host: string): Refusal | undefined {
  if (newDataset.mayBeInTheClear || !wouldBeInTheClear(newDataset, left)) return undefined;
  const { name } = newDataset;
  const why = `${inTheClear(newDataset, `${name}, which an interrupted receive has left,`, host)} Drop that first (zfs receive -A ${name}).`;
  return refuse('UNSUPPORTED', `${why} ${waysOut(newDataset)}`, { details: { host, dataset: name } });
}

/** What is noted where it was asked for. */
export function clearlyNoted(newDataset: NewDataset, model: DatasetEntry | undefined, host: string): Note[] {
  if (!model || !newDataset.mayBeInTheClear || !wouldBeInTheClear(newDataset, model)) return [];
  const message = inTheClear(newDataset, newDataset.origin ?? model.name, host);
  return [{ kind: 'in-the-clear', dataset: newDataset.source.dataset.name, message }];
}

const inTheClear = ({ name, source }: NewDataset, what: string, host: string): string =>
  `${source.dataset.name} on ${source.host} is encrypted and ${what} on ${host} is not, so ${name} will lie there unencrypted.`;

const waysOut = ({ source }: NewDataset): string =>
  `Ways out: send ${source.dataset.name} by itself and whole (-c), and it stays encrypted; or, if it may lie there so, --no-raw.`;

const wouldBeInTheClear = ({ source, raw }: NewDataset, model: DatasetEntry): boolean =>
  !raw && source.dataset.encryption !== 'off' && model.encryption === 'off';
