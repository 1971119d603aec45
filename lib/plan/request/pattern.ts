/**
 * Does the name match? In an element (between slashes) `*` is any number of characters and `?` is one; the element `**` is any
 * number of elements, or none. Patterns come over the bus, so the time is bounded by pattern length times name length, which a
 * regular expression does not guarantee.
 */
export const matches = (pattern: string, name: string): boolean =>
  fits(pattern.split('/'), name.split('/'), (element) => element === '**', elementMatches);

const elementMatches = (pattern: string, element: string): boolean =>
  fits(
    pattern,
    element,
    (char) => char === '*',
    (char, found) => char === '?' || char === found,
  );

/** Matches greedily: after a mismatch, the last star takes one more. */
function fits(
  pattern: ArrayLike<string>,
  row: ArrayLike<string>,
  isStar: (one: string) => boolean,
  same: (one: string, found: string) => boolean,
): boolean {
  let at = 0;
  let position = 0;
  let star: { at: number; position: number } | undefined;
  while (position < row.length) {
    const one = pattern[at];
    if (one !== undefined && isStar(one)) {
      star = { at: ++at, position };
    } else if (one !== undefined && same(one, row[position] ?? '')) {
      at++;
      position++;
    } else if (star !== undefined) {
      at = star.at;
      position = ++star.position;
    } else return false;
  }
  while (at < pattern.length && isStar(pattern[at] ?? '')) at++;
  return at === pattern.length;
}
