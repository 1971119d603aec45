import { type CodeEntry, codes, commonReasons } from '../../schemas/error-codes.ts';
import { madeFrom } from './markdown.ts';

const introduction = `# Errors

Every failed request, job and transfer has an error with a \`code\`, a \`message\` for people, and often \`details\`.
A *retryable* error can pass by itself, and zpsend tries again. A *permanent* one needs a person, another request, or another plan.
\`details.reason\` distinguishes errors of one code. A program ignores a reason that it does not know.

${madeFrom('schemas/error-codes.ts')}`;

const reasonLines = (reasons: Readonly<Record<string, string>>): string =>
  Object.entries(reasons)
    .map(([reason, words]) => `- \`${reason}\`: ${words}\n`)
    .join('');

function sectionOf([code, { kind, means, reasons = {} }]: [string, CodeEntry]): string {
  const listed = reasonLines(reasons);
  return `\n## ${code}\n\n*${kind}.* ${means}\n${listed === '' ? '' : `\n${listed}`}`;
}

/** docs/reference/errors.md: all codes with their reasons. */
export const errorsPage = (): string =>
  `${introduction}${Object.entries(codes).map(sectionOf).join('')}\n## Reasons of any code\n\n${reasonLines(commonReasons)}`;
