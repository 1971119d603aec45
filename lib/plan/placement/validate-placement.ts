import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { Note } from '../../../schemas/plan.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { isLocked } from './keys.ts';

/** A dataset that a plan creates on the target. */
export interface NewDataset {
  /** The target's name for it. */
  targetDataset: string;
  source: { host: string; dataset: DatasetEntry };
  /** The target's snapshot of which it becomes a clone. */
  origin: string | undefined;
  /** It arrives encrypted, with the source's key. */
  raw: boolean;
  /** Its stream may contain embedded data (`--embed`), which only unencrypted datasets have. */
  embed: boolean;
  /** The request allows it to be unencrypted on the target (`--no-raw`). */
  mayBeUnencrypted: boolean;
}

/** The surroundings of a new dataset, as far as the target's listing shows them. */
export interface Placement {
  /** The nearest existing ancestor, or the one that an ancestor of this plan inherits from. */
  above: DatasetEntry | undefined;
  /** The dataset from which it inherits encryption and key: `above`, for a clone its origin. */
  model: DatasetEntry | undefined;
  /** Ancestors that do not exist, topmost first. */
  missing: readonly string[];
}

/** Refuses a dataset that cannot be created there, or that would be unencrypted there only. */
export function placementRefusal(
  newDataset: NewDataset,
  { above, model, missing }: Placement,
  host: string,
): Refusal | undefined {
  const { targetDataset, origin, raw } = newDataset;
  if (above?.type === 'volume') {
    return refuse(
      'UNSUPPORTED',
      `${above.name} on ${host} is a volume, which cannot have child datasets. Name another target.`,
      {
        details: { host, dataset: targetDataset, above: above.name },
      },
    );
  }
  // a raw stream brings its own key; a placeholder needs the key of its parent
  if (above && isLocked(above) && (!raw || missing.length > 0)) {
    return refuse(
      'KEY_REQUIRED',
      `${missing[0] ?? targetDataset} cannot be created on ${host}, because the key of ${above.name} is not loaded. To fix: ` +
        `zfs load-key -r ${above.name} there`,
      { details: { host, dataset: targetDataset, above: above.name } },
    );
  }
  if (model && isLocked(model) && !raw) {
    return refuse(
      'KEY_REQUIRED',
      `${targetDataset} cannot be created on ${host} as a clone of ${origin}, because its key is not loaded. To fix: ` +
        `zfs load-key -r ${model.name} there`,
      { details: { host, dataset: targetDataset, origin: origin ?? '' } },
    );
  }
  const unfit = model && embeddedInEncrypted(newDataset, model, host);
  if (unfit) return unfit;
  if (!model || newDataset.mayBeUnencrypted || !wouldBeUnencrypted(newDataset, model)) return undefined;
  return refuse('UNSUPPORTED', `${unencrypted(newDataset, origin ?? model.name, host)} ${fixes(newDataset)}`, {
    details: { host, dataset: targetDataset, ...(origin === undefined ? { above: model.name } : { origin }) },
  });
}

/**
 * Refuses embedded data for an encrypted dataset, which cannot receive it (openzfs#10732, openzfs#8886; older releases print that the
 * kernel modules must be upgraded). An encrypted source has no embedded data.
 */
export function embeddedInEncrypted(
  { targetDataset, source, embed }: NewDataset,
  { encryption }: DatasetEntry,
  host: string,
): Refusal | undefined {
  if (!embed || encryption === 'off' || source.dataset.encryption !== 'off') return undefined;
  return refuse(
    'UNSUPPORTED',
    `${targetDataset} on ${host} is encrypted, or will be, and cannot receive embedded data of ${source.dataset.name}. To fix: send it without --embed.`,
    { details: { host, dataset: targetDataset } },
  );
}

/** Refuses to continue an interrupted seed whose partial state on the target is unencrypted. */
export function partialUnencrypted(newDataset: NewDataset, partial: DatasetEntry, host: string): Refusal | undefined {
  if (newDataset.mayBeUnencrypted || !wouldBeUnencrypted(newDataset, partial)) return undefined;
  const { targetDataset } = newDataset;
  const why = `${unencrypted(newDataset, `the partial state of ${targetDataset}`, host)} Abort it first (zfs receive -A ${targetDataset} there).`;
  return refuse('UNSUPPORTED', `${why} ${fixes(newDataset)}`, { details: { host, dataset: targetDataset } });
}

/** Notes that a dataset will be unencrypted on the target, as the request allows. */
export function unencryptedNotes(newDataset: NewDataset, model: DatasetEntry | undefined, host: string): Note[] {
  if (!model || !newDataset.mayBeUnencrypted || !wouldBeUnencrypted(newDataset, model)) return [];
  const message = unencrypted(newDataset, newDataset.origin ?? model.name, host);
  return [{ kind: 'in-the-clear', dataset: newDataset.source.dataset.name, message }];
}

const unencrypted = ({ targetDataset, source }: NewDataset, what: string, host: string): string =>
  `${source.dataset.name} on ${source.host} is encrypted and ${what} on ${host} is not, so ${targetDataset} would be unencrypted there.`;

const fixes = ({ source }: NewDataset): string =>
  `To fix: send ${source.dataset.name} in full with -c, which keeps it encrypted; or allow it to be unencrypted with --no-raw.`;

const wouldBeUnencrypted = ({ source, raw }: NewDataset, model: DatasetEntry): boolean =>
  !raw && source.dataset.encryption !== 'off' && model.encryption === 'off';
