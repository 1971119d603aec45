import type { DatasetPlans } from '../../lib/plan/items.ts';
import { targetRoot } from '../../lib/plan/naming.ts';
import type { Clearing } from '../../schemas/conflict.ts';
import type { ErrorBody } from '../../schemas/errors.ts';
import type { Inventory } from '../../schemas/inventory.ts';
import type { Job } from '../../schemas/job.ts';
import { datasetOf, isWithin } from '../../schemas/names.ts';
import type { Note, SendRequest, Step } from '../../schemas/plan.ts';
import type { Log } from '../host/log.ts';
import { openWaitLog } from './wait-log.ts';

/** Names shown of a long list; the newest are the interesting ones. */
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

export type Narrator = ReturnType<typeof narrator>;
export type ChainNarrator = ReturnType<Narrator['chain']>;

/** Tells a job in the log so that an administrator can follow it. */
export function narrator(log: Log, request: SendRequest) {
  const dataset = datasetOf(request.dataset);
  const target = targetRoot(request);
  const isPackage = request.package !== undefined;
  let lists = { source: '', target: '' };
  let isStored = false;
  const waits = openWaitLog(log, '');
  return {
    /** By which channel the job goes from here on. */
    along(channel: 'direct' | 'store'): void {
      isStored = channel === 'store';
    },
    listed(source: Inventory, at: Inventory): void {
      lists = { source: names(source, dataset, isPackage), target: names(at, target, isPackage) };
      const how = isStored
        ? `${request.to.host} is taken to have of ${target}`
        : `received snapshots for ${target} from ${request.to.host}`;
      log.info(`${how}: ${lists.target}`);
      log.info(`found the following snapshots on my ${dataset}: ${lists.source}`);
    },
    /** What a person should know before a package is sent. */
    planned({ datasets, notes }: DatasetPlans): void {
      for (const { message } of notes) log.info(message);
      for (const { dataset, refusal } of datasets) {
        if (refusal) log.error(`${dataset} cannot be sent: ${refusal.error.code}: ${refusal.error.message}`);
      }
    },
    waiting: waits.waits,
    goesOn: waits.over,
    /** What a person should know of it, and shows while it runs. */
    noted({ message }: Note): void {
      log.warn(message);
    },
    /** Datasets that are not sent because of another's failure. */
    lost(errors: readonly ErrorBody[]): void {
      const [first] = errors;
      if (errors.length === 1) log.error(`${first?.code}: ${first?.message}`);
      else if (first) log.error(`${errors.length} datasets are not sent; the first: ${first.code}: ${first.message}`);
    },
    chain: (name: string) => chainNarrator(log, isPackage ? `${name}: ` : '', isStored),
    ended(job: Job): void {
      const what = isPackage ? `${job.datasets.total} datasets from ${dataset}` : dataset;
      if (job.error) log.error(`${dataset} to ${request.to.host} failed: ${job.error.code}: ${job.error.message}`);
      else if (job.channel === 'store' && job.done > 0)
        log.info(`stored ${job.done} snapshots of ${what} for ${request.to.host}, ${job.bytes} bytes`);
      else if (job.channel === 'store') log.info(`all my snapshots wait for ${request.to.host} in the store`);
      else if (job.done > 0)
        log.info(`sent ${job.done} snapshots of ${what} to ${request.to.host}, ${job.bytes} bytes`);
      else {
        log.info('the server has all my snapshots');
        log.info(`my snapshots: ${lists.source}`);
        log.info(`server snapshots: ${lists.target}`);
      }
    },
  };
}

const clearingWords = (before: Clearing): string =>
  before.kind === 'rename'
    ? `rename ${before.from} to ${before.to}`
    : `go back to ${before.to.name} and destroy ${before.destroys.length} newer snapshots`;

/**
 * @param of what begins a line that does not say of itself which dataset it is about
 * @param isStored nobody is asked, and what arrives does so in the store
 */
const chainNarrator = (log: Log, of: string, isStored: boolean, waits = openWaitLog(log, of)) => ({
  step(step: Step): void {
    if (step.from) {
      log.info(`${of}an incremental send is needed`);
      log.info(`from: ${step.from.name} to: ${step.to.name}`);
    } else {
      log.info(`${of}an initial seed needed`);
      log.info(`initial snapshot: ${step.to.name}`);
    }
  },
  asking(step: Step): void {
    if (step.before) log.info(`${of}the server is to clear its target first: ${clearingWords(step.before)}`);
    log.info(
      isStored
        ? `putting it into the store for ${step.target}`
        : `asking the server to start up a recv for ${step.target}`,
    );
  },
  ready(resumedAt: number): void {
    waits.over();
    if (!isStored) log.info(`${of}received a ready zfs recv message from server`);
    if (resumedAt > 0) log.info(`${of}continuing an interrupted receive, ${resumedAt} bytes of which are there`);
  },
  arrived(step: Step): void {
    const kind = step.from ? 'incremental snapshot' : 'snapshot';
    if (isStored) log.info(`${kind} ${step.to.name} is in the store for ${step.target}`);
    else log.info(`server said it successfully received ${kind} into ${step.target}`);
  },
  waiting: waits.waits,
  failed(error: ErrorBody): void {
    if (of) log.error(`${of}failed: ${error.code}: ${error.message}`);
  },
});
