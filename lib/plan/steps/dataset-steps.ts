import type { SnapshotEntry } from '../../../schemas/inventory.ts';
import type { Plan, Step } from '../../../schemas/plan.ts';
import * as conflict from '../conflict/explain.ts';
import { asBase, type Base, fromOf, newestCommon } from '../inventory/bases.ts';
import { type Dated, isAfter } from '../inventory/txg.ts';
import type { DatasetTask } from '../match/dataset-task.ts';
import { isRefusal } from '../refusal.ts';

/** The steps that one dataset needs (none if the target has everything), or a refusal. */
export function datasetSteps(task: DatasetTask): Plan {
  const { wanted } = task;
  if (wanted.kind === 'full') return full(task, wanted.to);
  if (wanted.kind === 'incremental') return incremental(task, wanted.from, wanted.to);
  return isToBeSeeded(task) ? seed(task, wanted.snapshots) : continued(task, wanted);
}

type Chain = Extract<DatasetTask['wanted'], { kind: 'chain' }>;

const done: Plan = { ok: true, steps: [] };

/** The target has no snapshot of it yet. ZFS itself refuses another stream onto an interrupted seed. */
const isToBeSeeded = ({ target }: Pick<DatasetTask, 'target'>): boolean => !target.dataset?.snapshots.length;

/** Does the name on the target belong to a dataset that is not the partial state of a seed? */
const isTaken = ({ target: { dataset } }: DatasetTask): boolean =>
  dataset !== undefined && (dataset.snapshots.length > 0 || dataset.resumeToken === undefined);

function full(task: DatasetTask, to: SnapshotEntry): Plan {
  if (hasGuid(task, to.guid)) return done;
  return isTaken(task) ? conflict.exists(task) : { ok: true, steps: [fullStep(task, to)] };
}

function incremental(task: DatasetTask, base: Base, to: SnapshotEntry): Plan {
  if (hasGuid(task, to.guid)) return done;
  if (!hasGuid(task, base.guid)) return conflict.baseMissing(task, base);
  if (newestOnTarget(task)?.guid !== base.guid) return conflict.notTheNewest(task, base);
  return following(task, [to], { from: fromOf(task.source.dataset.name, base), after: base });
}

function seed(task: DatasetTask, snapshots: readonly SnapshotEntry[]): Plan {
  if (isTaken(task)) return conflict.exists(task);
  const start = task.seedStart();
  if (isRefusal(start)) return start;
  if (start.kind === 'clone') {
    const { after } = start;
    return following(task, after ? snapshots.filter((entry) => isAfter(entry, after)) : snapshots, start);
  }
  const [first, ...rest] = snapshots;
  if (first === undefined) return done;
  const base = asBase(first);
  const steps = chain(task, rest, { from: fromOf(task.source.dataset.name, base), after: base });
  return { ok: true, steps: [fullStep(task, first), ...steps] };
}

function continued(task: DatasetTask, { snapshots, goal }: Chain): Plan {
  const { source, target } = task;
  const common = target.dataset && newestCommon(source.dataset, target.dataset);
  if (common !== undefined && goal !== undefined && !isAfter(goal, common)) {
    return hasGuid(task, goal.guid) ? done : conflict.tooLate(task, goal, common);
  }
  if (common === undefined || newestOnTarget(task)?.guid !== common.guid) return conflict.diverged(task, common);
  const missing = snapshots.filter((entry) => isAfter(entry, common));
  return following(task, missing, { from: fromOf(source.dataset.name, common), after: common });
}

/** The start of a chain: the base of its first step. */
interface Start {
  from: NonNullable<Step['from']>;
  /** The createtxg of `from`, if it is one of the dataset's own snapshots. */
  after?: Dated;
  /** The target's snapshot that the first step clones. */
  origin?: string;
}

/** A chain onto the target's snapshots; refused if another snapshot there has the name of a new one. */
function following(task: DatasetTask, snapshots: readonly SnapshotEntry[], start: Start): Plan {
  const taken = new Set(task.target.dataset?.snapshots.map((entry) => entry.name));
  const clashes = snapshots.filter((entry) => taken.has(entry.name));
  if (clashes.length > 0) return conflict.namesTaken(task, clashes);
  return { ok: true, steps: chain(task, snapshots, start) };
}

/**
 * One `-i` step for each snapshot, from the one before. Its size is the sum of `written` since the base, including skipped
 * snapshots; ZFS adds that of a destroyed snapshot to the next one (zfsprops(7)).
 */
function chain({ source, targetDataset }: DatasetTask, snapshots: readonly SnapshotEntry[], start: Start): Step[] {
  const wanted = new Set(snapshots.map((entry) => entry.guid));
  const steps: Step[] = [];
  let { from, origin } = start;
  let size = 0;
  for (const entry of source.dataset.snapshots) {
    if (start.after !== undefined && !isAfter(entry, start.after)) continue;
    size += entry.written;
    if (!wanted.has(entry.guid)) continue;
    const to = { name: `${source.dataset.name}@${entry.name}`, guid: entry.guid };
    const step: Step = { type: 'incremental', to, from, targetDataset, ...kindOf(source), size };
    steps.push(origin === undefined ? step : { ...step, origin });
    from = { ...to, kind: 'snapshot' };
    origin = undefined;
    size = 0;
  }
  return steps;
}

const kindOf = ({ dataset }: DatasetTask['source']): Pick<Step, 'volume'> =>
  dataset.type === 'volume' ? { volume: true } : {};

const fullStep = ({ source, targetDataset }: DatasetTask, to: SnapshotEntry): Step => ({
  type: 'full',
  to: { name: `${source.dataset.name}@${to.name}`, guid: to.guid },
  targetDataset,
  ...kindOf(source),
  size: to.referenced,
});

const hasGuid = ({ target }: DatasetTask, guid: string): boolean =>
  target.dataset?.snapshots.some((entry) => entry.guid === guid) ?? false;

const newestOnTarget = ({ target }: DatasetTask): SnapshotEntry | undefined => target.dataset?.snapshots.at(-1);
