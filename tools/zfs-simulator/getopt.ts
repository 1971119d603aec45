import { usage } from './refusal.ts';

export interface Options {
  /** The given letters, each with its values in order (an empty list for a letter without an argument). */
  readonly given: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** Splits an argument list as getopt(3) does: bundled letters, `--`, options after operands. `spec` is getopt's. */
export function getopt(argv: readonly string[], spec: string, synopsis: string): Options {
  const given = new Map<string, string[]>();
  const operands: string[] = [];
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      operands.push(...rest);
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      operands.push(word);
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at);
      const where = spec.indexOf(letter);
      if (where < 0 || letter === ':') throw usage(`invalid option '${letter}'`, synopsis);
      const values = given.get(letter) ?? [];
      given.set(letter, values);
      if (spec[where + 1] !== ':') continue;
      const value = at + 1 < word.length ? word.slice(at + 1) : rest.shift();
      if (value === undefined) throw usage(`missing argument for '${letter}' option`, synopsis);
      values.push(value);
      break;
    }
  }
  return { given, operands };
}

/** `name=value` words of `-o`, as a map; a word without `=` is wrong usage. */
export function assignments(words: readonly string[], synopsis: string): Map<string, string> {
  return new Map(
    words.map((word) => {
      const cut = word.indexOf('=');
      if (cut < 0) throw usage(`missing '=' for property=value argument`, synopsis);
      return [word.slice(0, cut), word.slice(cut + 1)] as const;
    }),
  );
}
