import type { PlacedReceipt } from '../../../lib/bus/channel/store/receipts.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { infoSchema } from '../../../schemas/host.ts';
import type { WaitingStream } from '../../../schemas/stored.ts';
import type { Held } from '../reporting/store-blocked.ts';

/** Is a receiver of that host there? */
export const hasReceiver = (bus: Bus, host: string): Promise<boolean> =>
  request(bus, subjects.info(host), {}, infoSchema, timing.maintenance.onlineAnswerMs).then(
    ({ instances }) => instances.some(({ service }) => service === 'receiver'),
    () => false,
  );

/** What waits for targets that have said nothing of anything that waits for them. */
export function unclaimedOf(
  waiting: readonly WaitingStream[],
  receipts: readonly PlacedReceipt[],
): Omit<Held, 'error'>[] {
  const ids = new Set(waiting.map(({ id }) => id));
  const heard = new Set(receipts.flatMap(({ target, id }) => (ids.has(id) ? [target] : [])));
  return waiting.flatMap(({ targets }) =>
    targets.flatMap(({ host: target, start }) => (heard.has(target) ? [] : [{ target, start }])),
  );
}

/** @param ms for so long it waits, in milliseconds */
export const notFetched = (target: string, source: string, ms: number): ErrorBody =>
  new ZpsendError(
    'TIMEOUT',
    `the receiver on ${target} is online but has not fetched streams stored more than ${Math.floor(ms / 1000)} s ago. Check that its receive.allow ` +
      `(or ZPSEND_ALLOW) includes ${source}, and that its NATS user may read the store (zpsend deploy permissions ${target} --from ${source}).`,
    { host: target },
  ).toBody();

/** Watches for receivers that are there, and do not begin with what waits for them. @returns a look, which says what is held for that */
export function openUnclaimed(isThere: (target: string) => Promise<boolean>, source: string) {
  /** Since when, in monotonic milliseconds, a target was seen to be there with nothing said. */
  const since = new Map<string, number>();
  let asked = Number.NEGATIVE_INFINITY;

  async function ask(targets: ReadonlySet<string>, now: number): Promise<void> {
    asked = now;
    await Promise.all(
      [...targets].map(async (target) => {
        if (!(await isThere(target))) since.delete(target);
        else if (!since.has(target)) since.set(target, now);
      }),
    );
  }

  return async (
    waiting: readonly WaitingStream[],
    receipts: readonly PlacedReceipt[],
    now = performance.now(),
  ): Promise<Held[]> => {
    const unclaimedStreams = unclaimedOf(waiting, receipts);
    const targets = new Set(unclaimedStreams.map(({ target }) => target));
    for (const target of since.keys()) if (!targets.has(target)) since.delete(target);
    if (targets.size > 0 && now - asked >= timing.maintenance.onlineMs) await ask(targets, now);
    return unclaimedStreams.flatMap(({ target, start }) =>
      now - (since.get(target) ?? now) >= timing.maintenance.claimMs
        ? [{ target, start, error: notFetched(target, source, timing.maintenance.claimMs) }]
        : [],
    );
  };
}
