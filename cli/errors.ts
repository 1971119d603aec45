import type { ErrorBody } from '../schemas/errors.ts';
import type { Evidence } from '../schemas/plan.ts';

const shown = 20;

function names(list: readonly string[]): string {
  if (list.length === 0) return '-';
  const hidden = list.length - shown;
  const newest = list.slice(-shown).map((name) => `@${name}`);
  return `${newest.join(' ')}${hidden > 0 ? ` (and ${hidden} older)` : ''}`;
}

/** An error for a person: `zpsend: CODE: message`, and what a refusal rests on, a line each. */
export const errorLines = ({ code, message }: ErrorBody, evidence?: Evidence): string[] => [
  `zpsend: ${code}: ${message}`,
  ...(evidence
    ? [
        `  newest common: ${evidence.newestCommon === null ? '-' : `@${evidence.newestCommon}`}`,
        `  source only:   ${names(evidence.sourceOnly)}`,
        `  target only:   ${names(evidence.targetOnly)}`,
      ]
    : []),
];
