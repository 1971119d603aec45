import type { StoredDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { storedName } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Note } from '../../../schemas/plan.ts';
import type { BlockedStream } from '../reporting/store-blocked.ts';
import { notFetched } from './blocked.ts';
import { isAt, unreported } from './deliveries.ts';
import type { StoreTarget } from './known-targets.ts';
import { hasReceiver } from './unclaimed.ts';

export interface BlockedNotesDeps {
  readonly bus: Bus;
  readonly bucket: StreamsBucket;
  /** How long a receiver has to claim its stored streams, in milliseconds. */
  readonly claimMs?: number;
}

/** Characters of a target's error message. */
const longestMessage = 300;

/** One note for each kind of error: in a package all datasets may be blocked by the same. */
function notesOf(blocked: readonly BlockedStream[]): Note[] {
  const firsts = [...new Map(blocked.toReversed().map((one) => [one.start.targetDataset, one])).values()].reverse();
  return [...Map.groupBy(firsts, ({ error }) => error.code).values()].flatMap(([first, ...others]) => {
    if (!first) return [];
    const { target, start, error } = first;
    const more = others.length > 0 ? `, and for ${others.length} more datasets,` : '';
    const reason = `${error.code}: ${error.message.slice(0, longestMessage)}`;
    const message = `streams for ${start.targetDataset}${more} on ${target} are still in the store: ${reason}`;
    return [{ kind: 'store-blocked' as const, dataset: start.targetDataset, message }];
  });
}

/**
 * The reasons why a target does not receive its stored streams: from its receipts, or from their absence. No direct stream overtakes
 * stored ones, so a job to that target needs them. Never fails.
 * @param deliveries all that the source has stored
 */
export async function blockedNotes(
  { bus, bucket, claimMs = timing.maintenance.claimMs }: BlockedNotesDeps,
  place: StoreTarget,
  deliveries: readonly StoredDelivery[],
): Promise<Note[]> {
  const blocked = deliveries.flatMap((delivery) =>
    delivery.state.type === 'blocked' && isAt(place, delivery) ? [{ ...delivery, error: delivery.state.error }] : [],
  );
  const unclaimed = unreported(deliveries).filter((delivery) => isAt(place, delivery));
  const [oldest] = unclaimed;
  if (blocked.length > 0 || !oldest || !(await hasReceiver(bus, place.host))) return notesOf(blocked);
  const { id, source } = oldest.stream;
  const ms = await bucket.idle([storedName({ kind: 'manifest', id })]).catch(() => undefined);
  if (ms === undefined || ms < claimMs) return [];
  return notesOf(unclaimed.map((one) => ({ ...one, error: notFetched(place.host, source, ms) })));
}
