import type { Held } from '../board/held.ts';

/** While something is held it is told again so often, since jobs write over it; in milliseconds. */
const everyMs = 10_000;

/**
 * Tells what is held: at first, when it changes, and again and again.
 * @returns a look at all that is held now, which throws what telling failed with; that is told again at the next
 */
export function openHeldNews(tell: (held: readonly Held[]) => Promise<void>) {
  let told: string | undefined;
  let at = 0;
  return async (held: readonly Held[], now = performance.now()): Promise<void> => {
    const text = JSON.stringify(
      held.map(({ target, start, error }) => [target, start.dataset, start.to, error.message]),
    );
    if (text === told && (held.length === 0 || now - at < everyMs)) return;
    await tell(held);
    told = text;
    at = now;
  };
}
