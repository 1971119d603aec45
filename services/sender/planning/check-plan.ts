import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import { shortagesOf } from '../../../lib/plan/placement/space.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { composed } from '../../../lib/plan/steps/compose.ts';
import { isFeatureNote, lackingFeatures } from '../../../lib/plan/steps/stream-needs.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Note, Plan, SendRequest } from '../../../schemas/plan.ts';
import { askReceiver, withoutRefused } from './check-receiver.ts';
import { checkStreams } from './check-streams.ts';
import type { Planned } from './plan-job.ts';

export interface CheckDeps {
  readonly bus: Bus;
  readonly zfs: Zfs;
  readonly host: string;
}

type Made = Extract<Plan, { ok: true }>;

/**
 * A plan as it would be carried out: without what the target's receiver would refuse, or its pool cannot take, and with what the target lacks
 * room for. Where that cannot be known, a note says so. Never fails.
 */
export async function checkedPlan(
  deps: CheckDeps,
  request: SendRequest,
  { channel, peer }: { channel: 'direct' | 'store'; peer?: Peer },
  { plans, source, target }: Pick<Planned, 'plans' | 'source' | 'target'>,
): Promise<{ plan: Plan; shortages: ErrorBody[] }> {
  if (isRefusal(plans)) return { plan: plans, shortages: [] };
  const plan = composed(plans);
  if (!plan.ok || plan.steps.length === 0) return { plan, shortages: [] };
  const { host } = request.to;
  if (channel === 'store') {
    const message = `what is stored is checked when ${host} fetches it: whether its receiver allows this, and has room for it, is not known`;
    return { plan: noted(plan, unchecked(request, message)), shortages: [] };
  }
  const { datasets } = plans;
  const lacking = lackingFeatures(request, source, target, plan.steps);
  const [answer, streams] = await Promise.all([
    askReceiver(deps.bus, deps.host, request, datasets, peer).catch((thrown) => ZpsendError.from(thrown)),
    lacking.length > 0 ? checkStreams(deps.zfs, datasets, lacking, host) : undefined,
  ]);
  const isUnknown = answer instanceof ZpsendError;
  const why = isUnknown ? `whether the receiver of ${host} allows this is not known: ${answer.message}` : undefined;
  const known = streams ? withStreamNotes(plan, streams) : plan;
  const told = why === undefined ? known : noted(known, unchecked(request, why));
  const refused = new Map([...(streams?.refused ?? []), ...(isUnknown ? [] : answer)]);
  const allowed = withoutRefused(told, plans, refused);
  return { plan: allowed, shortages: allowed.ok ? shortagesOf(allowed.steps, target) : [] };
}

/** Once every stream is known, what the pools tell of them is of no use. */
function withStreamNotes(plan: Made, { isComplete, notes }: { isComplete: boolean; notes: readonly Note[] }): Made {
  const { notes: before = [], ...rest } = plan;
  const all = [...before.filter((note) => !(isComplete && isFeatureNote(note))), ...notes];
  return { ...rest, ...(all.length > 0 && { notes: all }) };
}

const noted = (plan: Made, note: Note): Made => ({ ...plan, notes: [...(plan.notes ?? []), note] });

const unchecked = ({ dataset }: SendRequest, message: string): Note => ({
  kind: 'unchecked',
  dataset: datasetOf(dataset),
  message,
});
