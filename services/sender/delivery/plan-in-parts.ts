import { bytesPerPart, planParts } from '../../../lib/bus/rpc/plan-parts.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { jobContextOf } from '../../../lib/plan/request/accept-request.ts';
import type { SendRules } from '../../../lib/settings/send-allow.ts';
import type { Plan, PlanPart } from '../../../schemas/plan.ts';
import type { SendRequest } from '../../../schemas/request.ts';
import type { Channel } from '../../../schemas/transfer.ts';
import { checkedPlan } from '../planning/check-plan.ts';
import { checkRequest } from '../planning/send-rules.ts';
import { withSizes } from '../planning/size-estimates.ts';
import { chooseDelivery } from './choose.ts';
import type { StoreDeliveryDeps } from './store-delivery.ts';

export interface PlanAnswerDeps extends StoreDeliveryDeps {
  readonly allow?: SendRules;
  /** The channel of streams, unless the request names one. */
  readonly channel: Channel;
}

/**
 * Answers `send.plan`: a plan as it would be carried out, in parts that fit into a message.
 * @throws ZpsendError the error of the plan, NOT_ALLOWED by `send.allow`
 */
export async function* planInParts(deps: PlanAnswerDeps, asked: SendRequest): AsyncGenerator<PlanPart> {
  const context = jobContextOf(deps.host, asked);
  if (isRefusal(context)) {
    yield { sourceHost: deps.host, targetHost: asked.to.host, plan: context, part: 1, more: false };
    return;
  }
  const { sourceHost, targetHost, request } = context;
  checkRequest(deps.allow, context);
  const signal = new AbortController().signal;
  const { delivery, planned } = await chooseDelivery(deps, context, request.channel ?? deps.channel, signal);
  const checked = await checkedPlan(deps, context, delivery, planned);
  let shortages: Pick<PlanPart, 'shortages'> = checked.shortages.length > 0 ? { shortages: checked.shortages } : {};
  const channel = delivery.channel === 'store' ? { channel: delivery.channel } : {};
  let part = 0;
  for await (const { plan, more } of inParts(deps, checked.plan)) {
    yield { sourceHost, targetHost, ...channel, ...shortages, plan, part: ++part, more };
    shortages = {};
  }
}

/** If estimates take long, the first steps come early, with everything but the other steps. */
async function* inParts(
  { bus, zfs, clock }: Pick<PlanAnswerDeps, 'bus' | 'zfs' | 'clock'>,
  plan: Plan,
): AsyncGenerator<Pick<PlanPart, 'plan' | 'more'>> {
  const limit = bytesPerPart(bus.maxPayload);
  const cut = (some: Plan, isLast: boolean) =>
    [...planParts(some, limit)].map((one, at, all) => ({ plan: one, more: !isLast || at + 1 < all.length }));
  if (!plan.ok || plan.steps.length === 0) return yield* cut(plan, true);
  let rest: Partial<typeof plan> = plan;
  let left = plan.steps.length;
  for await (const steps of withSizes({ zfs, clock }, plan.steps)) {
    left -= steps.length;
    yield* cut({ ...rest, ok: true, steps }, left === 0);
    rest = {};
  }
}
