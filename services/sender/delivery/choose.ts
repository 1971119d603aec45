import type { SettledDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { afterResolutions, lastKnownOf, predictInventory } from '../../../lib/plan/predict-target.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { SendRequest, Step } from '../../../schemas/plan.ts';
import type { Channel } from '../../../schemas/transfer.ts';
import type { Planned } from '../planning/plan-job.ts';
import { afterListing, readKnownTarget, writeKnownTarget } from '../store/known-targets.ts';
import { isWithoutReceiver } from '../transfer/absent-receiver.ts';
import { startOf } from '../transfer/receive-request.ts';
import { type Delivery, directDelivery } from './delivery.ts';
import {
  lookForWaiting,
  nothingWaits,
  placeOf,
  type StoreDeliveryDeps,
  storeDelivery,
  type Waiting,
} from './store-delivery.ts';

/** Which delivery a job goes, and its first plan. */
export interface Routed {
  readonly delivery: Delivery;
  readonly planned: Planned;
}

/** Nobody there; a connection of our own that is lost says nothing of anybody. */
const isAbsent = (error: ZpsendError): boolean =>
  error.reason !== 'connection-lost' && (error.code === 'UNREACHABLE' || error.code === 'TIMEOUT');

/** Where there is no store everything goes directly; where it does not answer, something may wait there, and nothing goes past it. */
function unlessClosed(thrown: unknown): Waiting {
  const { code, message } = ZpsendError.from(thrown);
  if (code === 'UNSUPPORTED' || code === 'NOT_ALLOWED') return nothingWaits;
  throw new ZpsendError('TIMEOUT', `what waits in the store cannot be looked at: ${message}`, {
    reason: 'connection-lost',
  });
}

/** What stands in the way at the target is not seen from here. @throws ZpsendError BAD_REQUEST */
function checkClearsNothing({ conflict, to }: SendRequest): void {
  if (conflict === undefined || conflict === 'refuse') return;
  throw new ZpsendError(
    'BAD_REQUEST',
    `what is stored clears nothing on ${to.host}, so conflict: ${conflict} needs channel direct, or auto when it answers`,
  );
}

/**
 * Chooses the delivery of a job by its channel: `auto` is the direct one where the target's receiver answers and nothing waits for it in the
 * store, and else the store.
 * @throws ZpsendError what the first plan failed with
 */
export async function route(
  deps: StoreDeliveryDeps,
  request: SendRequest,
  channel: Channel,
  signal: AbortSignal,
): Promise<Routed> {
  const along = async (delivery: Delivery): Promise<Routed> => ({ delivery, planned: await delivery.plan() });
  if (channel === 'store') {
    checkClearsNothing(request);
    return along(storeDelivery(deps, request));
  }
  if (channel === 'direct') return along(directDelivery(deps, request, signal));
  const { isAwaited, settled } = await lookForWaiting(deps.store, deps.host, request).catch(unlessClosed);
  if (isAwaited) return along(storeDelivery(deps, request));
  // while the plan is made, since it takes its time
  const lacksReceiver = isWithoutReceiver(deps.bus, request.to.host);
  const logNoReceiver = (): void =>
    deps.log.info('target.no-receiver', `${request.to.host} runs no receiver, so what it lacks is stored for it`);
  try {
    const direct = await along(remembering(deps, request, directDelivery(deps, request, signal), settled));
    if (!(await lacksReceiver)) return direct;
    logNoReceiver();
  } catch (thrown) {
    const error = ZpsendError.from(thrown);
    // without a receiver nobody there knows who may write
    if (error.code === 'NOT_ALLOWED' && (await lacksReceiver)) logNoReceiver();
    else if (!isAbsent(error)) throw error;
    else {
      const line = `${request.to.host} does not answer (${error.code}), so what it lacks is stored for it`;
      deps.log.info('target.offline', line);
    }
  }
  return along(storeDelivery(deps, request));
}

/** The direct delivery, which remembers what the target has for the day when it does not answer; `settled`: what it had reported before it was listed. */
function remembering(
  deps: StoreDeliveryDeps,
  request: SendRequest,
  delivery: Delivery,
  settled: readonly SettledDelivery[],
): Delivery {
  async function remember({ source, target }: Planned, steps: readonly Step[]): Promise<void> {
    const { bucket } = await deps.store.open();
    const order = { transfer: 'seen000', job: 'seen000', source: deps.host };
    const now = predictInventory(
      afterResolutions(lastKnownOf(target, source), steps),
      steps.map((step) => startOf(order, step)),
    );
    const place = placeOf(request);
    const isWhole = request.package !== undefined;
    const before = isWhole ? undefined : await readKnownTarget(bucket, place);
    await writeKnownTarget(bucket, place, afterListing(before, { root: place.root, isWhole, target: now, settled }));
  }
  return {
    ...delivery,
    arrived: (planned, steps) =>
      remember(planned, steps).catch((thrown) =>
        deps.log.warn(
          'target.not-remembered',
          `what ${request.to.host} has could not be remembered, so nothing can be stored for it: ${ZpsendError.from(thrown).message}`,
        ),
      ),
  };
}
