import type { StoredDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { BlockedStream } from '../reporting/store-blocked.ts';

/**
 * The blocked streams: those with an error of their target, and those unclaimed for long. In the order in which they were stored.
 * @param now monotonic milliseconds
 */
export const blockedIn = (deliveries: readonly StoredDelivery[], now: number): BlockedStream[] =>
  deliveries.flatMap(({ target, start, stream, state }) => {
    if (state.type === 'blocked') return [{ target, start, error: state.error }];
    const { claimMs } = timing.maintenance;
    if (state.type !== 'unclaimed' || now - state.since < claimMs) return [];
    return [{ target, start, error: notFetched(target, stream.source, claimMs) }];
  });

/** @param ms for how long it is stored at least, in milliseconds */
export const notFetched = (target: string, source: string, ms: number): ErrorBody =>
  new ZpsendError(
    'TIMEOUT',
    `the receiver on ${target} is online but has not fetched streams stored more than ${Math.floor(ms / 1000)} s ago. Check that its receive.allow ` +
      `(or ZPSEND_ALLOW) includes ${source}, and that its NATS user may read the store (zpsend deploy permissions ${target} --from ${source}).`,
    { host: target },
  ).toBody();
