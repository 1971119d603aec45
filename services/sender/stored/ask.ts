import type { StreamsBucket } from '../../../lib/bus/store/bucket.ts';
import { openStoreSender } from '../../../lib/bus/store/send.ts';
import { offerOf } from '../../../lib/wire/choice.ts';
import type { Log } from '../../host/log.ts';
import { startOf } from '../start.ts';
import { runnable, type Transfer, type TransferDeps, type TransferPlan } from '../transfer.ts';

export interface StoreOrder {
  readonly bucket: StreamsBucket;
  readonly log: Log;
  /** How long a full store is waited for, in milliseconds. */
  readonly patienceMs: number;
}

/** Settles a transfer into the store: nobody is asked, since the target need not be there. */
export async function askStore(
  { bucket, log, patienceMs }: StoreOrder,
  deps: TransferDeps,
  plan: TransferPlan,
): Promise<Transfer> {
  const { step, transfer, target, seat } = plan;
  const offer = offerOf(deps.wire?.mode ?? 'none', step.flags);
  const start = {
    ...startOf({ transfer, job: plan.job, source: deps.host, properties: deps.properties }, step),
    ...(offer && { wire: offer }),
  };
  const channel = openStoreSender(bucket, {
    id: transfer,
    targets: [{ host: target, start }],
    patienceMs,
    pace: deps.pace,
    onFull: () => log.warn(`the store of ${deps.host} is full; ${step.to.name} waits for room`),
  });
  const mode = (offer && deps.wire?.mode) ?? 'none';
  return runnable(deps, plan, { channel, resume: { stale: false, offset: 0 }, seat, mode });
}
