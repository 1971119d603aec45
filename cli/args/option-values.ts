import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { faultOf, faultWords } from '../../schemas/issue-words.ts';

/**
 * A parser of one option or argument, for commander.
 * @param words what is allowed, in place of the schema's own words
 * @throws InvalidArgumentError commander adds the option
 */
export const valueBy =
  <S extends z.ZodType>(schema: S, words?: string) =>
  (text: string): z.output<S> => {
    const { success, data, error } = schema.safeParse(text);
    if (success) return data;
    throw new InvalidArgumentError(words ?? wordsOf(error));
  };

/** The same for an option that can be repeated. @param schema of the whole list */
export const listBy =
  <S extends z.ZodType>(schema: S) =>
  (text: string, before: readonly string[] = []): z.output<S> => {
    const { success, data, error } = schema.safeParse([...before, text]);
    if (success) return data;
    throw new InvalidArgumentError(wordsOf(error));
  };

/** Digits only: `Number` would accept `0x4` and `1e1` too. */
export const wholeNumber = (least: number, most: number) =>
  valueBy(
    z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(least).max(most)),
    `a number from ${least} to ${most}`,
  );

/** Without the path: the position in a list is of no use to the reader. */
function wordsOf({ issues }: z.ZodError): string {
  const [first] = issues;
  return first ? faultWords({ ...faultOf(first), path: [] }) : 'not valid';
}
