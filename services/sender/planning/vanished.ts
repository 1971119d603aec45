import { isRefusal, type Refusal, refuse, someOf } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { leafOf } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { Planned } from './plan-job.ts';

/** A chain that found something different from its listing. */
export interface Interrupted {
  /** The source's. */
  readonly sourceDataset: string;
  /** Its steps in the first plan. */
  readonly steps: readonly Step[];
}

/** A snapshot that has reached its target. */
export type Arrived = Pick<Step, 'targetDataset' | 'to'>;

/** The remaining steps of a chain. */
export interface Replanned {
  readonly steps: readonly Step[];
  /** The snapshots that it cannot send, since they are destroyed. */
  readonly note?: Note;
}

/**
 * The remaining steps of a dataset in a new plan, if some snapshots of the first plan no longer exist. A snapshot that the request
 * names must be sent, or the dataset fails. What the request only implies (all snapshots, all descendants) is sent as far as it
 * exists. If nothing exists and nothing has arrived, the dataset fails.
 * @param arrived steps of the whole job; two replicas may have snapshots of the same guid
 * @returns undefined where the dataset is not in the plan, though nothing of it has vanished
 */
export function afterLoss(
  context: JobContext,
  { sourceDataset, steps: first }: Interrupted,
  { plans, source, target }: Planned,
  arrived: readonly Arrived[],
): Replanned | Refusal | undefined {
  const entry = source.datasets.find(({ name }) => name === sourceDataset);
  const targetDataset = first[0]?.targetDataset;
  const there = target.datasets.find(({ name }) => name === targetDataset);
  const came = new Set(arrived.flatMap((step) => (step.targetDataset === targetDataset ? [step.to.guid] : [])));
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
  if (refusal && (context.snapshot !== undefined || arrived.length === 0)) return notSent(refusal, note.note);
  return { steps: [], ...note };
}

/** Is it refused for something that the source no longer has? */
const isLoss = ({ error: { code, details } }: Refusal, host: string): boolean =>
  (code === 'NO_SUCH_SNAPSHOT' || code === 'NO_SUCH_DATASET') && details?.host === host;

function noteOf(sourceDataset: string, host: string, gone: readonly Step['to'][], isThere: boolean): Note {
  const names = someOf(gone.map(({ name }) => leafOf(name) ?? ''));
  const message = isThere
    ? `${names} of ${sourceDataset} on ${host} vanished (destroyed or renamed) while the job ran, before being sent`
    : `${sourceDataset} on ${host} vanished (destroyed or renamed) while the job ran, before ${names} of it ${gone.length === 1 ? 'was' : 'were'} sent`;
  return { kind: 'vanished', dataset: sourceDataset, message };
}

const notSent = ({ error }: Refusal, { message }: Note): Refusal =>
  refuse(error.code, `${message}. ${error.message}`, error.details ? { details: error.details } : {});
