import { type Code, type DetailsOf, ZpsendError } from '../../schemas/errors.ts';
import type { Evidence, Plan } from '../../schemas/plan.ts';

export type Refusal = Extract<Plan, { ok: false }>;

export interface Ground<C extends Code = Code> {
  details?: DetailsOf<C>;
  evidence?: Evidence;
}

/** Limit of names of each kind in the evidence (the newest ones), so that a refusal fits in one message. */
const mostNames = 500;

/** A refusal as data: the code, a message for people, and the evidence if there is any. */
export function refuse<C extends Code>(code: C, message: string, { details, evidence }: Ground<C> = {}): Refusal {
  const error = new ZpsendError(code, message, details).toBody();
  if (evidence === undefined) return { ok: false, error };
  const sourceOnly = evidence.sourceOnly.slice(-mostNames);
  const targetOnly = evidence.targetOnly.slice(-mostNames);
  return { ok: false, error, evidence: { ...evidence, sourceOnly, targetOnly } };
}

export const isRefusal = (value: object | undefined): value is Refusal =>
  value !== undefined && 'ok' in value && value.ok === false;

/** `@a, @b and 7 older`: the newest names, as many as fit in a message. */
export function someOf(names: readonly string[], sigil: '@' | '#' | '' = '@', most = 5): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(-most).map((name) => `${sigil}${name}`);
  const hidden = names.length - shown.length;
  return hidden > 0 ? `${shown.join(', ')} and ${hidden} older` : shown.join(', ');
}
