import type { ErrorBody } from '../../schemas/errors.ts';
import type { Inventory } from '../../schemas/inventory.ts';
import type { Job } from '../../schemas/job.ts';
import { datasetOf } from '../../schemas/names.ts';
import type { SendRequest, Step } from '../../schemas/plan.ts';
import type { Log } from '../host/log.ts';

/** Names shown of a long list; the newest are the interesting ones. */
const shown = 12;

function names(inventory: Inventory, dataset: string): string {
  const all = inventory.datasets
    .filter((entry) => entry.name === dataset)
    .flatMap((entry) => entry.snapshots.map((snapshot) => `${dataset}@${snapshot.name}`));
  if (all.length === 0) return '(none)';
  return all.length <= shown ? all.join(', ') : `(${all.length - shown} older) ${all.slice(-shown).join(', ')}`;
}

/** Tells a job in the log so that an administrator can follow it. */
export function narrator(log: Log, request: SendRequest) {
  const dataset = datasetOf(request.dataset);
  const target = request.to.dataset ?? dataset;
  let lists = { source: '', target: '' };
  return {
    listed(source: Inventory, at: Inventory): void {
      lists = { source: names(source, dataset), target: names(at, target) };
      log.info(`received snapshots for ${target} from ${request.to.host}: ${lists.target}`);
      log.info(`found the following snapshots on my ${dataset}: ${lists.source}`);
    },
    step(step: Step): void {
      if (step.from) {
        log.info('an incremental send is needed');
        log.info(`from: ${step.from.name} to: ${step.to.name}`);
      } else {
        log.info('an initial seed needed');
        log.info(`initial snapshot: ${step.to.name}`);
      }
    },
    asking(step: Step): void {
      log.info(`asking the server to start up a recv for ${step.target}`);
    },
    ready(resumedAt: number): void {
      log.info('received a ready zfs recv message from server');
      if (resumedAt > 0) log.info(`continuing an interrupted receive, ${resumedAt} bytes of which are there`);
    },
    arrived(step: Step): void {
      const kind = step.from ? 'incremental snapshot' : 'snapshot';
      log.info(`server said it successfully received ${kind} into ${step.target}`);
    },
    waiting(error: ErrorBody): void {
      log.warn(`${error.code}: ${error.message}; trying again`);
    },
    ended(job: Job): void {
      if (job.error) log.error(`${dataset} to ${request.to.host} failed: ${job.error.code}: ${job.error.message}`);
      else if (job.done > 0)
        log.info(`sent ${job.done} snapshots of ${dataset} to ${request.to.host}, ${job.bytes} bytes`);
      else {
        log.info('the server has all my snapshots');
        log.info(`my snapshots: ${lists.source}`);
        log.info(`server snapshots: ${lists.target}`);
      }
    },
  };
}
