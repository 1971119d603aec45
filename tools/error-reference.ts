import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type CodeEntry, codes, commonReasons } from '../schemas/error-codes.ts';

const file = resolve(import.meta.dirname, '../docs/reference/errors.md');

const introduction = `# Errors

Every failed request, job and transfer has an error with a \`code\`, a \`message\` for people, and often \`details\`.
A *retryable* error can pass by itself, and zpsend tries again. A *permanent* one needs a person, another request, or another plan.
\`details.reason\` distinguishes errors of one code. A program ignores a reason that it does not know.

\`npm run errors -- --write\` makes this page from \`schemas/error-codes.ts\`. \`npm run check\` compares the two.
`;

function sectionOf([code, { kind, means, reasons = {} }]: [string, CodeEntry]): string {
  const listed = Object.entries(reasons).map(([reason, words]) => `- \`${reason}\`: ${words}\n`);
  return `\n## ${code}\n\n*${kind}.* ${means}\n${listed.length > 0 ? `\n${listed.join('')}` : ''}`;
}

/** All codes with their reasons, in Markdown. */
export function errorReference(): string {
  const common = Object.entries(commonReasons).map(([reason, words]) => `- \`${reason}\`: ${words}\n`);
  return `${introduction}${Object.entries(codes).map(sectionOf).join('')}\n## Reasons of any code\n\n${common.join('')}`;
}

if (import.meta.main) {
  if (process.argv.includes('--write')) writeFileSync(file, errorReference());
  else if (readFileSync(file, 'utf8') !== errorReference()) {
    console.error(`${file} differs from schemas/error-codes.ts: run npm run errors -- --write`);
    process.exitCode = 1;
  }
}
