/** Without case, and without the separators of other spellings: `max_concurrent` is `maxConcurrent`. */
const plain = (word: string): string => word.replace(/[-_\s]/g, '').toLowerCase();

/** Inserted, deleted and replaced letters, and swapped neighbours, from one word to another (optimal string alignment). */
function edits(one: string, other: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= one.length; row++) {
    const next = [row];
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwap = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      next[column] = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        ...(isSwap ? [(before[column - 2] ?? 0) + 1] : []),
      );
    }
    [before, last] = [last, next];
  }
  return last[other.length] ?? 0;
}

/** The known words nearest to a misspelt one: all with the fewest edits, at most a third of its letters. Empty if none is near. */
export function nearestWords(word: string, known: readonly string[]): string[] {
  const misspelt = plain(word);
  const most = Math.max(1, Math.floor(misspelt.length / 3));
  const found = known.map((name) => ({ name, count: edits(misspelt, plain(name)) }));
  const fewest = Math.min(most, ...found.map(({ count }) => count));
  return found.filter(({ count }) => count === fewest).map(({ name }) => name);
}
