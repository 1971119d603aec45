import type { Plan, PlanReply } from '../../schemas/plan.ts';

/** Steps with the longest of names stay below the server's max_payload of 1 MiB. */
export const stepsPerPart = 500;

/** Cuts a plan into parts of one message each; a refusal, or a plan of few steps, is one part. */
export function* planParts(plan: Plan, limit = stepsPerPart): Generator<Plan> {
  if (!plan.ok) return yield plan;
  let at = 0;
  do {
    yield { ok: true, steps: plan.steps.slice(at, at + limit) };
    at += limit;
  } while (at < plan.steps.length);
}

/** The inverse of planParts, on replies; undefined when there is none. */
export function joinPlan(replies: readonly PlanReply[]): PlanReply | undefined {
  const [first] = replies;
  if (!first?.plan.ok) return first;
  return { ...first, plan: { ok: true, steps: replies.flatMap(({ plan }) => (plan.ok ? plan.steps : [])) } };
}
