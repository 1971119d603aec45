import type { ErrorBody } from '../../../schemas/errors.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import type { Held } from './last-words.ts';

/** Tells of a dataset at a target why its next stream is held, or no more so; `was`: what was told before. */
export type TellHeld = (
  target: string,
  start: StoredStart,
  now: ErrorBody | undefined,
  was: ErrorBody | undefined,
) => Promise<void>;

/**
 * Tells what targets cannot take, once each time that it changes.
 * @returns a look at all that is held now, which throws what telling failed with; that is told again at the next
 */
export function openHeldNews(tell: TellHeld): (held: readonly Held[], signal: AbortSignal) => Promise<void> {
  const told = new Map<string, Held>();
  return async (held, signal) => {
    // the first of a dataset is what the others wait for
    const now = new Map(held.toReversed().map((one) => [`${one.target} ${one.start.dataset}`, one]));
    for (const [key, { target, start, error }] of told) {
      if (now.has(key)) continue;
      if (signal.aborted) return;
      await tell(target, start, undefined, error);
      told.delete(key);
    }
    for (const [key, one] of now) {
      const was = told.get(key)?.error;
      if (was?.message === one.error.message) continue;
      if (signal.aborted) return;
      await tell(one.target, one.start, one.error, was);
      told.set(key, one);
    }
  };
}
