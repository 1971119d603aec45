import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import { shortagesOf } from '../../../lib/plan/placement/space.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { composed } from '../../../lib/plan/steps/compose.ts';
import { isFeatureNote, lackingFeatures } from '../../../lib/plan/steps/stream-needs.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Note, Plan } from '../../../schemas/plan.ts';
import { askReceiver, withoutRefused } from './check-receiver.ts';
import { checkStreams } from './check-streams.ts';
import type { Planned } from './plan-job.ts';

export interface CheckDeps {
  readonly bus: Bus;
  readonly zfs: Zfs;
  readonly clock: Clock;
}

type Made = Extract<Plan, { ok: true }>;

/**
 * A plan without the datasets that the target's receiver would refuse, or its pool cannot receive, and with the shortages of
 * space. A note names the unknown facts. Never fails.
 */
export async function checkedPlan(
  deps: CheckDeps,
  context: JobContext,
  { channel, peer }: { channel: 'direct' | 'store'; peer?: Peer },
  { plans, source, target }: Pick<Planned, 'plans' | 'source' | 'target'>,
): Promise<{ plan: Plan; shortages: ErrorBody[] }> {
  if (isRefusal(plans)) return { plan: plans, shortages: [] };
  const plan = composed(plans);
  if (!plan.ok || plan.steps.length === 0) return { plan, shortages: [] };
  const { targetHost: host } = context;
  if (channel === 'store') {
    const message = `${host} checks stored streams when it fetches them: whether its receiver allows this, and has space for it, is not known`;
    return { plan: noted(plan, unchecked(context, message)), shortages: [] };
  }
  const { datasets } = plans;
  const lacking = lackingFeatures(context, source, target, plan.steps);
  const [answer, streams] = await Promise.all([
    askReceiver(deps.bus, context, datasets, peer).catch((thrown) => ZpsendError.from(thrown)),
    lacking.length > 0 ? checkStreams(deps, datasets, lacking, host) : undefined,
  ]);
  const isUnknown = answer instanceof ZpsendError;
  const why = isUnknown ? `whether the receiver of ${host} allows this is not known: ${answer.message}` : undefined;
  const known = streams ? withStreamNotes(plan, streams) : plan;
  const explained = why === undefined ? known : noted(known, unchecked(context, why));
  const refused = new Map([...(streams?.refused ?? []), ...(isUnknown ? [] : answer)]);
  const allowed = withoutRefused(explained, plans, refused);
  return { plan: allowed, shortages: allowed.ok ? shortagesOf(allowed.steps, target) : [] };
}

/** If every stream is known, the notes that only the pools' features gave are dropped. */
function withStreamNotes(plan: Made, { isComplete, notes }: { isComplete: boolean; notes: readonly Note[] }): Made {
  const { notes: before = [], ...rest } = plan;
  const all = [...before.filter((note) => !(isComplete && isFeatureNote(note))), ...notes];
  return { ...rest, ...(all.length > 0 && { notes: all }) };
}

const noted = (plan: Made, note: Note): Made => ({ ...plan, notes: [...(plan.notes ?? []), note] });

const unchecked = ({ sourceDataset }: JobContext, message: string): Note => ({
  kind: 'unchecked',
  dataset: sourceDataset,
  message,
});
