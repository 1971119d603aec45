import type { SettledDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { afterResolutions, lastKnownOf, predictInventory } from '../../../lib/plan/predict-target.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Channel } from '../../../schemas/transfer.ts';
import type { Planned } from '../planning/plan-job.ts';
import { afterListing, readKnownTarget, writeKnownTarget } from '../store/known-targets.ts';
import { isWithoutReceiver } from '../transfer/absent-receiver.ts';
import { startOf } from '../transfer/receive-request.ts';
import { type Delivery, directDelivery } from './delivery.ts';
import {
  nothingWaits,
  placeOf,
  readWaiting,
  type StoreDeliveryDeps,
  storeDelivery,
  type Waiting,
} from './store-delivery.ts';

/** The delivery of a job, and its first plan. */
export interface ChosenDelivery {
  readonly delivery: Delivery;
  readonly planned: Planned;
}

/** Is the target offline? If our own connection is lost, that is not known. */
const isOffline = (error: ZpsendError): boolean =>
  error.reason !== 'connection-lost' && (error.code === 'UNREACHABLE' || error.code === 'TIMEOUT');

/** Without a store everything is sent directly. If the store does not answer, streams may wait there, and nothing may overtake them. */
function nothingWaitsWithoutStore(thrown: unknown): Waiting {
  const { code, message } = ZpsendError.from(thrown);
  if (code === 'UNSUPPORTED' || code === 'NOT_ALLOWED') return nothingWaits;
  throw new ZpsendError(
    'TIMEOUT',
    `the store does not answer, so whether streams wait in it is not known: ${message}`,
    {
      reason: 'connection-lost',
    },
  );
}

/** A conflict on an offline target is not seen from here. @throws ZpsendError BAD_REQUEST */
function checkNoConflictPolicy({ targetHost, request: { conflict } }: JobContext): void {
  if (conflict === undefined || conflict === 'refuse') return;
  throw new ZpsendError(
    'BAD_REQUEST',
    `a stored stream resolves no conflicts on ${targetHost}, so conflict: ${conflict} needs channel direct, or auto while it is online`,
  );
}

/**
 * Chooses the delivery of a job by its channel. `auto` is the direct channel if the target's receiver answers and no stream waits
 * for it in the store, and otherwise the store.
 * @throws ZpsendError the error of the first plan
 */
export async function chooseDelivery(
  deps: StoreDeliveryDeps,
  context: JobContext,
  channel: Channel,
  signal: AbortSignal,
): Promise<ChosenDelivery> {
  const { targetHost } = context;
  const planned = async (delivery: Delivery): Promise<ChosenDelivery> => ({ delivery, planned: await delivery.plan() });
  if (channel === 'store') {
    checkNoConflictPolicy(context);
    return planned(storeDelivery(deps, context));
  }
  if (channel === 'direct') return planned(directDelivery(deps, context, signal));
  const { isAwaited, settled } = await readWaiting(deps.store, context).catch(nothingWaitsWithoutStore);
  if (isAwaited) return planned(storeDelivery(deps, context));
  // asked while the plan is made, since the answer may take long
  const lacksReceiver = isWithoutReceiver(deps.bus, targetHost);
  const logNoReceiver = (): void =>
    deps.log.info('target.no-receiver', `${targetHost} runs no receiver, so streams are stored for it`);
  try {
    const direct = await planned(remembering(deps, context, directDelivery(deps, context, signal), settled));
    if (!(await lacksReceiver)) return direct;
    logNoReceiver();
  } catch (thrown) {
    const error = ZpsendError.from(thrown);
    // without a receiver no service there knows receive.allow
    if (error.code === 'NOT_ALLOWED' && (await lacksReceiver)) logNoReceiver();
    else if (!isOffline(error)) throw error;
    else {
      const line = `${targetHost} does not answer (${error.code}), so streams are stored for it`;
      deps.log.info('target.offline', line);
    }
  }
  return planned(storeDelivery(deps, context));
}

/** The direct delivery, which records the known target for its offline times. @param settled the deliveries reported before the listing */
function remembering(
  deps: StoreDeliveryDeps,
  context: JobContext,
  delivery: Delivery,
  settled: readonly SettledDelivery[],
): Delivery {
  async function remember({ source, target }: Planned, steps: readonly Step[]): Promise<void> {
    const { bucket } = await deps.store.open();
    const order = { transfer: 'seen000', job: 'seen000', sourceHost: context.sourceHost };
    const now = predictInventory(
      afterResolutions(lastKnownOf(target, source), steps),
      steps.map((step) => startOf(order, step)),
    );
    const place = placeOf(context);
    const isWhole = context.isRecursive;
    const before = isWhole ? undefined : await readKnownTarget(bucket, place);
    await writeKnownTarget(
      bucket,
      place,
      afterListing(before, { targetDataset: place.targetDataset, isWhole, target: now, settled }),
    );
  }
  return {
    ...delivery,
    arrived: (planned, steps) =>
      remember(planned, steps).catch((thrown) =>
        deps.log.warn(
          'target.not-remembered',
          `the snapshots of ${context.targetHost} could not be recorded, so nothing can be stored for it: ${ZpsendError.from(thrown).message}`,
        ),
      ),
  };
}
