import { next, type StoredDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { infoSchema } from '../../../schemas/host.ts';
import { unreported } from './deliveries.ts';

/** Is a receiver of that host online? */
export const hasReceiver = (bus: Bus, host: string): Promise<boolean> =>
  request(bus, subjects.info(host), {}, infoSchema, timing.maintenance.onlineAnswerMs).then(
    ({ instances }) => instances.some(({ service }) => service === 'receiver'),
    () => false,
  );

/**
 * Finds receivers that are online and have no receipt of their stored streams.
 * @returns a function that marks the unclaimed ones of all deliveries
 */
export function openUnclaimed(isOnline: (target: string) => Promise<boolean>, clock: Pick<Clock, 'now'>) {
  /** Since when, in monotonic milliseconds, a target is online and reports nothing. */
  const since = new Map<string, number>();
  let asked = Number.NEGATIVE_INFINITY;

  async function ask(targets: ReadonlySet<string>, now: number): Promise<void> {
    asked = now;
    await Promise.all(
      [...targets].map(async (target) => {
        if (!(await isOnline(target))) since.delete(target);
        else if (!since.has(target)) since.set(target, now);
      }),
    );
  }

  return async (deliveries: readonly StoredDelivery[]): Promise<StoredDelivery[]> => {
    const now = clock.now();
    const targets = new Set(unreported(deliveries).map(({ target }) => target));
    for (const target of since.keys()) if (!targets.has(target)) since.delete(target);
    if (targets.size > 0 && now - asked >= timing.maintenance.onlineMs) await ask(targets, now);
    return deliveries.map((delivery) => {
      const at = since.get(delivery.target);
      return at === undefined ? delivery : { ...delivery, state: next(delivery.state, { type: 'online', since: at }) };
    });
  };
}
