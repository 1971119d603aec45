/** Subjects with the wildcards of NATS: `*` is one token, and a final `>` is one or more. */

/** Does every subject of the second match the first? */
export function covers(wide: string, narrow: string): boolean {
  const [all, some] = [wide.split('.'), narrow.split('.')];
  for (const [at, token] of all.entries()) {
    const other = some[at];
    if (other === undefined) return false;
    if (token === '>') return true;
    if (other === '>' || (token !== '*' && token !== other)) return false;
  }
  return all.length === some.length;
}

/** The pattern of all subjects that match both; undefined if there are none. */
export function common(one: string, other: string): string | undefined {
  const [a, b] = [one.split('.'), other.split('.')];
  const both: string[] = [];
  for (let at = 0; ; at += 1) {
    const [x, y] = [a[at], b[at]];
    if (x === undefined && y === undefined) return both.join('.');
    if (x === undefined || y === undefined) return undefined;
    if (x === '>') return [...both, ...b.slice(at)].join('.');
    if (y === '>') return [...both, ...a.slice(at)].join('.');
    if (x !== y && x !== '*' && y !== '*') return undefined;
    both.push(x === '*' ? y : x);
  }
}

/** The subjects that no other one covers, in the given order. */
export const widest = (patterns: readonly string[]): string[] =>
  [...new Set(patterns)].filter((one, _, all) => !all.some((other) => other !== one && covers(other, one)));
