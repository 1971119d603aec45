import type { z } from 'zod';
import { nearestWords } from './nearest-word.ts';
import { keyPaths, keysAt, type Path } from './schema-keys.ts';

type Issue = z.core.$ZodIssue;

/** A fault, with its place in the value. */
export interface Fault {
  readonly path: Path;
  readonly words: string;
  /** The invalid value, if the schema was asked to report it. */
  readonly found: unknown;
  /** The words name what was found: a key. */
  readonly isKey?: true;
}

/** Does the whole value have the wrong type? */
const isOtherType = (issues: readonly Issue[]): boolean =>
  issues.some(
    (issue) =>
      issue.path.length === 0 &&
      (issue.code === 'invalid_union'
        ? issue.errors.every(isOtherType)
        : issue.code === 'invalid_type' || issue.code === 'invalid_value'),
  );

/**
 * The fault in an issue. Of several allowed forms, only those with the type of the value are reported: for an object with a wrong key,
 * that it is not a string does not help.
 * @param schema of the whole value, to name the key that an unknown one may mean
 * @param above the place of the value that the issue's path starts from
 */
export function faultOf(issue: Issue, schema?: z.core.$ZodType, above: Path = []): Fault {
  const { path, message, input } = issue;
  if (issue.code === 'unrecognized_keys' && schema) {
    const words = issue.keys.map((key) => unknownKey(key, schema, [...above, ...path]));
    return { path, words: words.join('; '), found: input, isKey: true };
  }
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return { path, words: message, found: input };
  const meant = issue.errors.filter((form) => !isOtherType(form));
  const forms = meant.length > 0 ? meant : issue.errors;
  const faults = forms.map((form) => form.map((one) => faultOf(one, schema, [...above, ...path])));
  const [only, ...others] = faults.flat();
  if (only && others.length === 0) return { ...only, path: [...path, ...only.path] };
  const words = faults.map((form) => form.map(faultWords).join(', and '));
  return { path, words: [...new Set(words)].join(', or '), found: input };
}

/** `to.0: not HOST or HOST:pool/dataset` */
export function faultWords({ path, words }: Fault): string {
  return path.length > 0 ? `${path.map(String).join('.')}: ${words}` : words;
}

/** The nearest key at this place, else the place where the key belongs, else all keys of this place. */
function unknownKey(key: string, schema: z.core.$ZodType, path: Path): string {
  const known = keysAt(schema, path);
  const near = nearestWords(key, known);
  const isElsewhere = (other: Path): boolean => other.at(-1) === key && other.every((part) => typeof part === 'string');
  const meant =
    near.length > 0
      ? near
      : keyPaths(schema)
          .filter(isElsewhere)
          .map((other) => other.join('.'));
  const hint = meant.length > 0 ? `did you mean ${meant.join(' or ')}?` : `the keys here are ${known.join(', ')}`;
  return `unknown key "${key}": ${hint}`;
}
