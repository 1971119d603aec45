import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { maxRequestBytes } from '../../../lib/bus/rpc/codec.ts';
import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import { requestMany } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { DatasetPlan, DatasetPlans } from '../../../lib/plan/dataset-plan.ts';
import { refuse } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import type { ConflictResolution } from '../../../schemas/conflict.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Plan, Refused, Step } from '../../../schemas/plan.ts';
import { maxChecked, type ReceiveCheck, receiveCheckedSchema } from '../../../schemas/transfer.ts';
import { stepStart } from '../transfer/receive-request.ts';
import { needsOf } from './dependencies.ts';

type CheckedStart = ReceiveCheck['starts'][number];

const startOfCheck = (step: Step): CheckedStart => ({
  ...stepStart(step),
  ...(step.before && { before: withoutLists(step.before) }),
});

/** A rollback's lists may be long, and whether one is allowed does not depend on them. */
function withoutLists(before: ConflictResolution): ConflictResolution {
  if (before.kind === 'rename') return before;
  const { cursors: _, ...rollback } = before;
  return { ...rollback, destroys: [] };
}

/** Splits the starts into requests of at most `limit` bytes and `maxChecked` datasets. */
export function* batchesOf(starts: readonly CheckedStart[], limit: number): Generator<CheckedStart[]> {
  let batch: CheckedStart[] = [];
  let room = limit;
  for (const start of starts) {
    const bytes = Buffer.byteLength(JSON.stringify(start)) + 1;
    if (batch.length > 0 && (bytes > room || batch.length === maxChecked)) {
      yield batch;
      batch = [];
      room = limit;
    }
    batch.push(start);
    room -= bytes;
  }
  if (batch.length > 0) yield batch;
}

/**
 * The datasets of a plan that the target's receiver would refuse, by target dataset. It is asked about the first step of each.
 * @param peer the target's machine, from its listing
 * @throws ZpsendError where the receiver does not answer
 */
export async function askReceiver(
  bus: Bus,
  { sourceHost, targetHost, request: { properties } }: JobContext,
  datasets: readonly DatasetPlan[],
  peer: Peer | undefined,
): Promise<Map<string, ErrorBody>> {
  const subject = subjects.receiveCheckFrom(targetHost, sourceHost);
  const starts = datasets.flatMap(({ steps: [first] }) => (first ? [startOfCheck(first)] : []));
  const refused = new Map<string, ErrorBody>();
  for (const batch of batchesOf(starts, Math.min(maxRequestBytes, bus.maxPayload) / 2)) {
    const body: ReceiveCheck = { sourceHost, starts: batch, ...(properties && { properties }) };
    const parts = await requestMany(bus, subject, body, receiveCheckedSchema, 5000, peer);
    for (const { targetDataset, error } of parts.flatMap((part) => part.refused)) refused.set(targetDataset, error);
  }
  return refused;
}

/**
 * A plan without the datasets that the target's receiver would refuse, and those that need one of them. A refusal if nothing is
 * left.
 */
export function withoutRefused(plan: Plan, { datasets }: DatasetPlans, byTarget: ReadonlyMap<string, ErrorBody>): Plan {
  if (!plan.ok || byTarget.size === 0) return plan;
  const refused = new Map<string, Refused>();
  const needs = needsOf(datasets);
  for (const [at, { sourceDataset, targetDataset, steps }] of datasets.entries()) {
    if (steps.length === 0) continue;
    const needed = needs[at]?.map(({ chain }) => refused.get(datasets[chain]?.targetDataset ?? '')).find((one) => one);
    const error = byTarget.get(targetDataset) ?? (needed && withoutNeeded(sourceDataset, targetDataset, needed));
    if (error) refused.set(targetDataset, { dataset: sourceDataset, targetDataset, error });
  }
  const steps = plan.steps.filter(({ targetDataset }) => !refused.has(targetDataset));
  const all = [...(plan.refused ?? []), ...refused.values()];
  const [first, ...others] = all;
  if (steps.length > 0 || !first || all.length < datasets.length) return { ...plan, steps, refused: all };
  const also = others.length === 1 ? '1 more dataset' : `${others.length} more datasets`;
  const more = others.length > 0 ? `. Also refused: ${also}.` : '';
  return {
    ok: false,
    error: { ...first.error, message: `${first.error.message.replace(/\.$/, '')}${more}`.slice(0, 8192) },
  };
}

const withoutNeeded = (sourceDataset: string, targetDataset: string, needed: Refused): ErrorBody =>
  refuse(
    needed.error.code,
    `${sourceDataset} cannot be sent without ${needed.dataset}, which the target refuses (${needed.error.code}).`,
    { details: { dataset: targetDataset, needs: needed.dataset } },
  ).error;
