import { datasetOf } from '../../schemas/names.ts';
import type { ReceiveStart } from '../../schemas/transfer.ts';
import type { LogFields } from '../host/log.ts';

/** What the lines about one receive are about, as the sender's log has it. */
export const fieldsOf = (host: string, { job, transfer, source, dataset, to }: ReceiveStart): LogFields => ({
  ...{ job, transfer, source, dataset: datasetOf(to.name), target: `${host}:${dataset}`, snapshot: to.name },
});
