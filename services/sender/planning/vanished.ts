import { isRefusal, type Refusal, refuse, someOf } from '../../../lib/plan/refusal.ts';
import { leafOf } from '../../../schemas/names.ts';
import type { Note, SendRequest, Step } from '../../../schemas/plan.ts';
import type { Planned } from './plan-job.ts';

/** A chain that has run into something that was not as it was listed. */
export interface Interrupted {
  /** The source's. */
  readonly sourceDataset: string;
  /** What the job has planned for it. */
  readonly steps: readonly Step[];
}

/** What has reached its target. */
export type Arrived = Pick<Step, 'targetDataset' | 'to'>;

/** What is left for a chain to do. */
export interface Replanned {
  readonly steps: readonly Step[];
  /** What it cannot send any more, since it is gone. */
  readonly note?: Note;
}

/**
 * What is left of a dataset by a new plan, where some of what the first one lists may be gone. What a request names has to be
 * sent, or that is a failure. What it only implies, all snapshots of a dataset or all that lies below it, is sent as far as
 * it exists. Where nothing exists any more and nothing has arrived, nothing was done.
 * @param arrived what the whole job has brought; a snapshot of two datasets may have one guid, where both are replicas
 * @returns undefined where the dataset is not part of the plan, though nothing of it is gone
 */
export function afterLoss(
  request: SendRequest,
  { sourceDataset, steps: first }: Interrupted,
  { plans, source, target }: Planned,
  arrived: readonly Arrived[],
): Replanned | Refusal | undefined {
  const entry = source.datasets.find(({ name }) => name === sourceDataset);
  const into = first[0]?.targetDataset;
  const there = target.datasets.find(({ name }) => name === into);
  const came = new Set(arrived.flatMap((step) => (step.targetDataset === into ? [step.to.guid] : [])));
  const [here, has] = [entry, there].map((one) => new Set(one?.snapshots.map(({ guid }) => guid)));
  const open = first.map(({ to }) => to).filter(({ guid }) => !came.has(guid) && !has?.has(guid));
  const gone = open.filter(({ guid }) => !here?.has(guid));
  const plan = isRefusal(plans) ? undefined : plans.datasets.find((one) => one.sourceDataset === sourceDataset);
  const refusal = isRefusal(plans) ? plans : plan?.refusal;
  const note = gone.length > 0 ? { note: noteOf(sourceDataset, source.host, gone, entry !== undefined) } : {};
  if (plan && !refusal) return { steps: plan.steps, ...note };
  if (refusal && !isLoss(refusal, source.host)) return refusal;
  if (first.length > 0 && open.length === 0) return { steps: [] };
  if (!note.note) return refusal;
  if (refusal && (isNamed(request) || arrived.length === 0)) return notSent(refusal, note.note);
  return { steps: [], ...note };
}

/** Is it refused for what the source has no more? */
const isLoss = ({ error: { code, details } }: Refusal, host: string): boolean =>
  (code === 'NO_SUCH_SNAPSHOT' || code === 'NO_SUCH_DATASET') && details?.host === host;

const isNamed = ({ dataset }: SendRequest): boolean => leafOf(dataset) !== undefined;

function noteOf(dataset: string, host: string, gone: readonly Step['to'][], isThere: boolean): Note {
  const names = someOf(gone.map(({ name }) => leafOf(name) ?? ''));
  const message = isThere
    ? `${names} of ${dataset} on ${host} vanished (destroyed or renamed) while the job ran, before being sent`
    : `${dataset} on ${host} vanished (destroyed or renamed) while the job ran, before ${names} of it ${gone.length === 1 ? 'was' : 'were'} sent`;
  return { kind: 'vanished', dataset, message };
}

const notSent = ({ error }: Refusal, { message }: Note): Refusal =>
  refuse(error.code, `${message}. ${error.message}`, error.details ? { details: error.details } : {});
