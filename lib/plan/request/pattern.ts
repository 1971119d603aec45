/**
 * Does the name match? In an element (between slashes) `*` is any number of characters and `?` is one; `**` as an element
 * is any number of elements, none included. Patterns come over the bus, so time is bounded by pattern times name: each
 * star only ever gives back to the one before it, which a regular expression would not promise.
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

/** Matches a row with stars in it against a row, giving the newest star one more of it wherever the rest does not fit. */
function fits(
  pattern: ArrayLike<string>,
  row: ArrayLike<string>,
  isStar: (one: string) => boolean,
  same: (one: string, found: string) => boolean,
): boolean {
  let at = 0;
  let place = 0;
  let star: { at: number; place: number } | undefined;
  while (place < row.length) {
    const one = pattern[at];
    if (one !== undefined && isStar(one)) {
      star = { at: ++at, place };
    } else if (one !== undefined && same(one, row[place] ?? '')) {
      at++;
      place++;
    } else if (star !== undefined) {
      at = star.at;
      place = ++star.place;
    } else return false;
  }
  while (at < pattern.length && isStar(pattern[at] ?? '')) at++;
  return at === pattern.length;
}
