import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** What is wrong where, in words. */
export interface Fault {
  readonly path: readonly PropertyKey[];
  readonly words: string;
  /** What was found, where the schema was asked to report that. */
  readonly found: unknown;
}

/** Does the whole value have another type than the one that is allowed here? */
const isOtherType = (issues: readonly Issue[]): boolean =>
  issues.some(
    (issue) =>
      issue.path.length === 0 &&
      (issue.code === 'invalid_union'
        ? issue.errors.every(isOtherType)
        : issue.code === 'invalid_type' || issue.code === 'invalid_value'),
  );

/**
 * Of several forms that are allowed those count that have the type of what was found: of an object with a wrong key nobody
 * wants to know that it is no text.
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
