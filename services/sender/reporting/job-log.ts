import type { DatasetPlans } from '../../../lib/plan/dataset-plan.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import type { ConflictResolution } from '../../../schemas/conflict.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import type { Job } from '../../../schemas/job.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import { openWaitLog } from './wait-log.ts';

/** Names that are shown of a long list: the newest. */
const shown = 12;

/** The snapshots of one dataset by name; of a package, how many of how many datasets. */
function names(inventory: Inventory, root: string, isPackage: boolean): string {
  const datasets = inventory.datasets.filter(({ name }) => (isPackage ? isWithin(name, root) : name === root));
  if (isPackage && datasets.length > 0) {
    const count = datasets.reduce((sum, { snapshots }) => sum + snapshots.length, 0);
    return `(${count} of ${datasets.length} datasets)`;
  }
  const all = datasets.flatMap((entry) => entry.snapshots.map((snapshot) => `${root}@${snapshot.name}`));
  if (all.length === 0) return '(none)';
  return all.length <= shown ? all.join(', ') : `(${all.length - shown} older) ${all.slice(-shown).join(', ')}`;
}

export type JobLog = ReturnType<typeof jobLog>;
export type ChainLog = ReturnType<JobLog['chain']>;

/**
 * Logs a job for an administrator. The lines of its steps ("an initial seed needed", "from: X to: Y") keep their words, which other tools
 * read. The fields of each line name the step.
 * @param log with the job's own fields
 */
export function jobLog(log: Log, context: JobContext) {
  const { sourceDataset: dataset, targetHost: host, targetDataset: target, isRecursive: isPackage } = context;
  const own = log.child({ dataset, target: `${host}:${target}` });
  let lists = { source: '', target: '' };
  let isStored = false;
  const waits = openWaitLog(own);
  return {
    /** Sets the channel for later lines. */
    usesChannel(channel: 'direct' | 'store'): void {
      isStored = channel === 'store';
    },
    listed(source: Inventory, at: Inventory): void {
      lists = { source: names(source, dataset, isPackage), target: names(at, target, isPackage) };
      const how = isStored ? `${host} is taken to have of ${target}` : `received snapshots for ${target} from ${host}`;
      own.info('target.listed', `${how}: ${lists.target}`);
      own.info('source.listed', `found the following snapshots on my ${dataset}: ${lists.source}`);
    },
    /** The notes and refusals of a plan. */
    planned({ datasets, notes }: DatasetPlans): void {
      for (const { kind, message } of notes) own.info('plan.noted', message, { note: kind });
      for (const { sourceDataset, refusal } of datasets) {
        if (refusal) {
          const { code, message } = refusal.error;
          own.error('dataset.refused', `${sourceDataset} cannot be sent: ${code}: ${message}`, { code });
        }
      }
    },
    waiting: waits.waits,
    goesOn: waits.over,
    /** A note that arises while the job runs. */
    noted({ kind, message }: Note): void {
      log.warn('plan.noted', message, { note: kind });
    },
    /** Datasets that are not sent because another one failed. */
    lost(errors: readonly ErrorBody[]): void {
      const [first] = errors;
      if (!first) return;
      const { code, message } = first;
      const count = errors.length > 1 ? `${errors.length} datasets are not sent; the first: ` : '';
      own.error('dataset.skipped', `${count}${code}: ${message}`, { code });
    },
    /** @param plan one dataset of the job */
    chain(plan: { readonly sourceDataset: string; readonly targetDataset: string }) {
      return chainLog(
        log.child({ dataset: plan.sourceDataset, target: `${host}:${plan.targetDataset}` }),
        isPackage,
        isStored,
      );
    },
    ended(job: Job): void {
      const what = isPackage ? `${job.datasets.total} datasets from ${dataset}` : dataset;
      const sent = `${job.done} ${job.done === 1 ? 'snapshot' : 'snapshots'} of ${what}`;
      const amount = `${job.bytes} bytes in ${job.seconds} s`;
      if (job.error)
        own.error('job.failed', `${dataset} to ${host} failed: ${job.error.code}: ${job.error.message}`, {
          code: job.error.code,
        });
      else if (job.channel === 'store' && job.done > 0) own.info('job.done', `stored ${sent} for ${host}, ${amount}`);
      else if (job.channel === 'store') own.info('job.done', `all my snapshots wait for ${host} in the store`);
      else if (job.done > 0) own.info('job.done', `sent ${sent} to ${host}, ${amount}`);
      else {
        own.info('job.done', 'the server has all my snapshots');
        own.info('source.listed', `my snapshots: ${lists.source}`);
        own.info('target.listed', `server snapshots: ${lists.target}`);
      }
    },
  };
}

const conflictWords = (before: ConflictResolution): string =>
  before.kind === 'rename'
    ? `rename ${before.from} to ${before.to}`
    : `roll back to ${before.to.name} and destroy ${before.destroys.length} newer snapshots`;

/**
 * @param log with the fields of the dataset
 * @param isStored the steps go into the store, without a request to the target
 */
function chainLog(log: Log, isPackage: boolean, isStored: boolean) {
  const waits = openWaitLog(log);
  let snapshot = {};
  return {
    step({ from, to }: Step): void {
      snapshot = { snapshot: to.name };
      log.info('step.needed', from ? 'an incremental send is needed' : 'an initial seed needed', snapshot);
      log.info('step.snapshots', from ? `from: ${from.name} to: ${to.name}` : `initial snapshot: ${to.name}`, snapshot);
    },
    asking({ before, targetDataset }: Step): void {
      if (before)
        log.info('step.conflict', `the server is to clear its target first: ${conflictWords(before)}`, snapshot);
      const line = isStored
        ? `putting it into the store for ${targetDataset}`
        : `asking the server to start up a recv for ${targetDataset}`;
      log.info('step.asked', line, snapshot);
    },
    ready(resumedAt: number): void {
      waits.over();
      if (!isStored) log.info('step.ready', 'received a ready zfs recv message from server', snapshot);
      if (resumedAt > 0)
        log.info('step.resumed', `continuing an interrupted receive, ${resumedAt} bytes of which are there`, snapshot);
    },
    arrived({ from, to, targetDataset }: Step): void {
      const kind = from ? 'incremental snapshot' : 'snapshot';
      if (isStored) log.info('step.stored', `${kind} ${to.name} is in the store for ${targetDataset}`, snapshot);
      else log.info('step.received', `server said it successfully received ${kind} into ${targetDataset}`, snapshot);
    },
    waiting: waits.waits,
    /** For a job of one dataset `ended` logs it. */
    failed(error: ErrorBody): void {
      if (isPackage) log.error('dataset.failed', `failed: ${error.code}: ${error.message}`, { code: error.code });
    },
  };
}
