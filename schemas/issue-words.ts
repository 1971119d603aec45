import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** A fault, with its place in the value. */
export interface Fault {
  readonly path: readonly PropertyKey[];
  readonly words: string;
  /** The invalid value, if the schema was asked to report it. */
  readonly found: unknown;
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
 */
export function faultOf(issue: Issue): Fault {
  const { path, message, input } = issue;
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return { path, words: message, found: input };
  const meant = issue.errors.filter((form) => !isOtherType(form));
  const forms = meant.length > 0 ? meant : issue.errors;
  const faults = forms.map((form) => form.map(faultOf));
  const [only, ...others] = faults.flat();
  if (only && others.length === 0) return { ...only, path: [...path, ...only.path] };
  const words = faults.map((form) => form.map(faultWords).join(', and '));
  return { path, words: [...new Set(words)].join(', or '), found: input };
}

/** `to.0: not HOST or HOST:pool/dataset` */
export function faultWords({ path, words }: Fault): string {
  return path.length > 0 ? `${path.map(String).join('.')}: ${words}` : words;
}
