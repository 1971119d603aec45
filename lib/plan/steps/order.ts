/** Why something has to come first: the dataset it lies in, or the one it is a clone of. */
export interface Need<T> {
  of: T;
  kind: 'parent' | 'origin';
}

export type Ordered<T> =
  | { order: T[] }
  /** Each needs the next and the last needs the first; `clones` are those that need it as their origin. */
  | { loop: T[]; clones: T[] };

interface Visit<T> {
  item: T;
  needs: readonly Need<T>[];
  /** How many of the needs have been looked at. */
  at: number;
}

/**
 * What is needed before what needs it, and otherwise as given; or the first loop there is. Chains of clones can be as long
 * as there are datasets, so the way down is a list and not the call stack.
 */
export function inOrderOfNeed<T>(items: readonly T[], needsOf: (item: T) => readonly Need<T>[]): Ordered<T> {
  const order: T[] = [];
  const state = new Map<T, 'open' | 'done'>();
  for (const first of items) {
    const way: Visit<T>[] = [];
    const enter = (item: T): void => {
      state.set(item, 'open');
      way.push({ item, needs: needsOf(item), at: 0 });
    };
    if (!state.has(first)) enter(first);
    for (let visit = way.at(-1); visit !== undefined; visit = way.at(-1)) {
      const need = visit.needs[visit.at++];
      if (need === undefined) {
        state.set(visit.item, 'done');
        order.push(visit.item);
        way.pop();
      } else if (state.get(need.of) === 'open') {
        return loopIn(way, need.of);
      } else if (!state.has(need.of)) enter(need.of);
    }
  }
  return { order };
}

function loopIn<T>(way: readonly Visit<T>[], back: T): Ordered<T> {
  const loop = way.slice(way.findIndex(({ item }) => item === back));
  const clones = loop.filter(({ needs, at }) => needs[at - 1]?.kind === 'origin');
  return { loop: loop.map(({ item }) => item), clones: clones.map(({ item }) => item) };
}
