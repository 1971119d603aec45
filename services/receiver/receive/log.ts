import type { ErrorBody } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import type { Log, LogFields } from '../../host/log.ts';

/** The fields of all lines about one receive, as in the sender's log. */
const fieldsOf = (host: string, { job, transfer, sourceHost, targetDataset, to }: ReceiveStart): LogFields => ({
  job,
  transfer,
  source: sourceHost,
  dataset: datasetOf(to.name),
  target: `${host}:${targetDataset}`,
  snapshot: to.name,
});

/** Logs one receive. Each line is complete in itself, since logs of several hosts are read together. */
export function receiveLog(log: Log, host: string, start: ReceiveStart) {
  const own = log.child(fieldsOf(host, start));
  const { targetDataset, sourceHost, to } = start;
  return {
    log: own,
    started(kind: 'initial' | 'incremental' | 'resumed'): void {
      own.info('receive.started', `${kind} receive of ${to.name} into ${targetDataset} from ${sourceHost}`);
    },
    parentCreated(parent: string): void {
      own.info('receive.parent-created', `created ${parent}, empty and unmounted, as a parent of ${targetDataset}`, {
        parent,
      });
    },
    partialDiscarded(): void {
      const line = `dropping the partial state of an older receive into ${targetDataset}, which this stream cannot continue`;
      own.warn('receive.partial-discarded', line);
    },
    done(): void {
      own.info('receive.done', `received ${to.name} into ${targetDataset}, telling ${sourceHost} receive is done`);
    },
    failed({ code, message }: ErrorBody): void {
      own.warn('receive.failed', `receive of ${to.name} into ${targetDataset} failed: ${code}: ${message}`, { code });
    },
  };
}
