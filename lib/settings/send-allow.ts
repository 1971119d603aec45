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

/** Is a rule for orders of this host itself? */
const isOwn = ({ from }: SendRule): boolean => from === undefined || from === '*';

const inWords = (rule: SendRule): string =>
  `{dataset: "${rule.dataset}", to: "${rule.to}"${rule.raw === 'required' ? ', raw: required' : ''}${rule.from === undefined ? '' : `, from: "${rule.from}"`}}`;

/**
 * Rules with `from` which, being deeper, take from this host itself what a rule above gives it, since their dataset has none of its own.
 * @returns a sentence for each such dataset, with what to add
 */
export function takenFromItself(rules: readonly SendRule[]): string[] {
  return [...new Set(rules.map(({ dataset }) => dataset))].flatMap((dataset) => {
    const here = rules.filter((rule) => rule.dataset === dataset);
    const above = rules.filter((rule) => rule.dataset !== dataset);
    const [given] = rulesFor(above, dataset).filter(isOwn);
    const [first] = here;
    if (!given || !first || here.some(isOwn)) return [];
    const { from: _, ...own } = given;
    return [
      `${inWords(first)} takes ${dataset} from this host's own sends, which the rule for ${given.dataset} allows: where it shall send it too, add ${inWords({ ...own, dataset })}`,
    ];
  });
}
