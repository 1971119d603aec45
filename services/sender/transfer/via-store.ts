import { fitsInto, tooLarge } from '../../../lib/bus/channel/store/errors.ts';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { openStoreSender } from '../../../lib/bus/channel/store/sender.ts';
import type { SpaceQueue } from '../../../lib/bus/channel/store/wait-for-space.ts';
import { offerOf } from '../../../lib/compression/choice.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Log } from '../../host/log.ts';
import { startOf } from './receive-request.ts';
import { streamOf } from './stream-request.ts';
import { runnable, type Transfer, type TransferDeps, type TransferPlan } from './transfer.ts';

export interface StoreOrder {
  readonly bucket: StreamsBucket;
  readonly spaceQueue: SpaceQueue;
  readonly clearing: (cleared: Promise<void>) => void;
  readonly log: Log;
  /** How long to wait for a full store, in milliseconds. */
  readonly patienceMs: number;
}

/** Prepares a transfer into the store. The target is not asked, since it may be offline. */
export async function askStore(
  { bucket, spaceQueue, clearing, log, patienceMs }: StoreOrder,
  deps: TransferDeps,
  plan: TransferPlan,
): Promise<Transfer> {
  const { step, transfer, targetHost, participant } = plan;
  if (spaceQueue.isWaitedFor) throw queued(bucket.source);
  const bound = await bucket.bound();
  const mode = deps.compression?.mode ?? 'none';
  if (bound !== undefined) await checkSize(deps, plan, bucket.source, bound);
  const offer = offerOf(mode, step.flags);
  const start = {
    ...startOf({ transfer, job: plan.job, sourceHost: deps.host, properties: deps.properties }, step),
    ...(offer && { compression: offer }),
  };
  const channel = openStoreSender(bucket, {
    id: transfer,
    targets: [{ host: targetHost, start }],
    patienceMs,
    bound,
    spaceQueue,
    clearing,
    rateLimit: deps.rateLimit,
    onFull: () => log.warn('store.full', `the store of ${deps.host} is full; ${step.to.name} waits for room`),
  });
  return runnable(deps, plan, {
    channel,
    resume: { stale: false, offset: 0 },
    participant,
    mode: offer ? mode : 'none',
  });
}

/** The stream waits for its turn, which counts neither as a failure nor against patience. */
const queued = (source: string): ZpsendError =>
  new ZpsendError('BUSY', `the store of ${source} is full, and another stream waits for room in it`, {
    reason: 'queued',
  });

/** A listed size may be wrong by a factor, so ZFS estimates a stream of this share of the bound. */
const near = 1 / 4;

/** @throws ZpsendError NO_SPACE for a stream that would not fit into an empty store, before any of it is read */
async function checkSize(deps: TransferDeps, { step, targetHost }: TransferPlan, source: string, bound: number) {
  // the compressed size is not known before
  if ((deps.compression?.mode ?? 'none') !== 'none' || (step.size ?? 0) < bound * near) return;
  const size = await deps.zfs.estimate(streamOf(step)).catch(() => undefined);
  if (size !== undefined && !fitsInto(bound, size)) throw tooLarge(`${step.to.name} for ${targetHost}`, source, bound);
}
