import type { Step } from '../../../../schemas/plan.ts';

/** Where one job of a fan is with one dataset. */
export type Place =
  /** It plans, or is between two steps. */
  | { readonly is: 'coming' }
  /** Ready for the step of that key; `to` is the guid of the snapshot that the step ends with. */
  | { readonly is: 'waiting'; readonly key: string; readonly to: string }
  /** It transfers that step. */
  | { readonly is: 'sending'; readonly to: string }
  /** It has nothing (more) to send, or tries again later. */
  | { readonly is: 'away' };

export const away: Place = { is: 'away' };
export const coming: Place = { is: 'coming' };

/** Less than this nobody needs to save, in milliseconds. */
const shortest = 250;

/**
 * How long those who are ready wait for a late one, in milliseconds: no longer than the step before has taken, since reading it twice
 * would cost no more.
 * @param before what it took, undefined for the first step of a dataset
 */
export const patience = (before: number | undefined, most: number): number =>
  before === undefined ? most : Math.min(most, Math.max(shortest, before));

/** Steps of one key are one `zfs send`: same snapshots, by guid and dataset, and same flags. */
export const keyOf = ({ to, from, flags = [] }: Step): string =>
  [to.name, to.guid, from?.guid ?? '', flags.join('+')].join(' ');

/**
 * Is a job worth waiting for, before a step that begins at `from` is read? One that is a whole step behind is not: it would make
 * the others as slow as it is.
 */
export const isAwaited = (place: Place, { from }: Pick<Step, 'from'>): boolean =>
  place.is === 'coming' || (place.is !== 'away' && from !== undefined && place.to === from.guid);
