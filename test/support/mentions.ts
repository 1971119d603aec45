import { expect } from 'vitest';

/**
 * A text that names each of these whole, in any order and in any words: datasets, hosts, numbers, paths, options,
 * commands to run. Neither `pool/a/b` nor `pool/a@1` names `pool/a`.
 */
export function mentions(...facts: readonly (string | number)[]): unknown {
  const each = facts.map((fact) => `(?=[^]*${wholeOf(`${fact}`)})`);
  return expect.stringMatching(new RegExp(`^${each.join('')}`));
}

/** The codes of the errors that a command shows, in their order. */
export const codesOf = (stderr: string): string[] =>
  [...stderr.matchAll(/^zpsend: ([A-Z]+(?:_[A-Z]+)*): ./gm)].map(([, code]) => code ?? '');

function wholeOf(fact: string): string {
  const before = /^[\w/]/.test(fact) ? '(?<![\\w/@#.:-])' : '';
  const after = /\w$/.test(fact) ? '(?![\\w/@#]|[-.:]\\w)' : '';
  return before + fact.replace(/[\^$.*+?()[\]{}|/]/g, '\\$&') + after;
}
