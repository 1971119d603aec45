/** An item that has to come first: the parent dataset, or the dataset of the origin. */
export interface Need<T> {
  of: T;
  kind: 'parent' | 'origin';
}

export type Ordered<T> =
  | { order: T[] }
  /** Each needs the next, and the last needs the first; `clones` are those that need the next as their origin. */
  | { loop: T[]; clones: T[] };

interface Visit<T> {
  item: T;
  needs: readonly Need<T>[];
  /** The number of needs that are already visited. */
  at: number;
}

/**
 * Orders items after their needs, and otherwise as given; or returns the first loop. Iterative, because a chain of clones can be as
 * long as the number of datasets.
 */
export function inOrderOfNeed<T>(items: readonly T[], needsOf: (item: T) => readonly Need<T>[]): Ordered<T> {
  const order: T[] = [];
  const state = new Map<T, 'open' | 'done'>();
  for (const first of items) {
    const path: Visit<T>[] = [];
    const enter = (item: T): void => {
      state.set(item, 'open');
      path.push({ item, needs: needsOf(item), at: 0 });
    };
    if (!state.has(first)) enter(first);
    for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
      const need = visit.needs[visit.at++];
      if (need === undefined) {
        state.set(visit.item, 'done');
        order.push(visit.item);
        path.pop();
      } else if (state.get(need.of) === 'open') {
        return loopIn(path, need.of);
      } else if (!state.has(need.of)) enter(need.of);
    }
  }
  return { order };
}

function loopIn<T>(path: readonly Visit<T>[], back: T): Ordered<T> {
  const loop = path.slice(path.findIndex(({ item }) => item === back));
  const clones = loop.filter(({ needs, at }) => needs[at - 1]?.kind === 'origin');
  return { loop: loop.map(({ item }) => item), clones: clones.map(({ item }) => item) };
}
