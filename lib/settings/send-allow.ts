import type { SendConfig } from '../../schemas/config.ts';
import { isWithin } from '../../schemas/names.ts';

export type SendRules = SendConfig['allow'];
export type SendRule = NonNullable<SendRules>[number];

/** Rules of the deepest dataset that is named above or at this one: they alone decide, so that a rule can also take away. */
export function rulesFor(rules: readonly SendRule[], dataset: string): SendRule[] {
  const above = rules.filter((rule) => isWithin(dataset, rule.dataset));
  const deepest = Math.max(0, ...above.map((rule) => rule.dataset.length));
  return above.filter((rule) => rule.dataset.length === deepest);
}

/** Does a rule name this target? */
export const names = (rule: SendRule, to: string): boolean => rule.to === '*' || rule.to === to;
