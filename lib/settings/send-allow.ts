import type { SendConfig } from '../../schemas/config.ts';
import { isWithin } from '../../schemas/names.ts';

export type SendRules = SendConfig['allow'];
export type SendRule = NonNullable<SendRules>[number];

/** The rules of the deepest dataset at or above this one. Only they apply, so a deeper rule can also restrict. */
export function rulesFor(rules: readonly SendRule[], dataset: string): SendRule[] {
  const above = rules.filter((rule) => isWithin(dataset, rule.dataset));
  const deepest = Math.max(0, ...above.map((rule) => rule.dataset.length));
  return above.filter((rule) => rule.dataset.length === deepest);
}

/** Does a rule name this target? */
export const names = (rule: SendRule, to: string): boolean => rule.to === '*' || rule.to === to;

/** Does the rule apply to requests of this host itself? */
const isOwn = ({ from }: SendRule): boolean => from === undefined || from === '*';

const asYaml = (rule: SendRule): string =>
  `{dataset: "${rule.dataset}", to: "${rule.to}"${rule.raw === 'required' ? ', raw: required' : ''}${rule.from === undefined ? '' : `, from: "${rule.from}"`}}`;

/**
 * Warnings about deeper rules with `from` that keep this host itself from sending a dataset, which a higher rule allows.
 * @returns a sentence for each such dataset, with the rule to add
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
      `${asYaml(first)} keeps this host itself from sending ${dataset}, which the rule for ${given.dataset} allows: if it should send it too, add ${asYaml({ ...own, dataset })}`,
    ];
  });
}
