import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { bytesPerPart, planParts } from '../../../lib/bus/rpc/plan-parts.ts';
import type { SendRules } from '../../../lib/settings/send-allow.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Plan, PlanPart, SendRequest } from '../../../schemas/plan.ts';
import type { Channel } from '../../../schemas/transfer.ts';
import { checkedPlan } from '../planning/check-plan.ts';
import { checkRequest } from '../planning/send-rules.ts';
import { withSizes } from '../planning/size-estimates.ts';
import { route } from './choose.ts';
import type { StoreDeliveryDeps } from './store-delivery.ts';

export interface PlanAnswerDeps extends StoreDeliveryDeps {
  readonly allow?: SendRules;
  /** By which channel streams go, where the request does not say. */
  readonly channel: Channel;
}

/**
 * Answers `send.plan`: a plan as it would be carried out, in parts that fit into a message.
 * @throws ZpsendError what the plan failed with, NOT_ALLOWED by `send.allow`
 */
export async function* planInParts(deps: PlanAnswerDeps, request: SendRequest): AsyncGenerator<PlanPart> {
  const { host } = deps;
  checkRequest(deps.allow, host, request);
  const signal = new AbortController().signal;
  const { delivery, planned } = await route(deps, request, request.channel ?? deps.channel, signal);
  const checked = await checkedPlan(deps, request, delivery, planned);
  let shortages: Pick<PlanPart, 'shortages'> = checked.shortages.length > 0 ? { shortages: checked.shortages } : {};
  const channel = delivery.channel === 'store' ? { channel: delivery.channel } : {};
  let part = 0;
  for await (const { plan, more } of inParts(deps, checked.plan)) {
    yield { sourceHost: host, targetHost: request.to.host, ...channel, ...shortages, plan, part: ++part, more };
    shortages = {};
  }
}

/** Of a plan whose sizes take long, the first steps come early, and with them all but the other steps. */
async function* inParts(
  { bus, zfs }: { readonly bus: Bus; readonly zfs: Zfs },
  plan: Plan,
): AsyncGenerator<Pick<PlanPart, 'plan' | 'more'>> {
  const limit = bytesPerPart(bus.maxPayload);
  const cut = (some: Plan, isLast: boolean) =>
    [...planParts(some, limit)].map((one, at, all) => ({ plan: one, more: !isLast || at + 1 < all.length }));
  if (!plan.ok || plan.steps.length === 0) return yield* cut(plan, true);
  let rest: Partial<typeof plan> = plan;
  let left = plan.steps.length;
  for await (const steps of withSizes(zfs, plan.steps)) {
    left -= steps.length;
    yield* cut({ ...rest, ok: true, steps }, left === 0);
    rest = {};
  }
}
