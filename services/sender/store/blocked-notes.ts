import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import type { PlacedReceipt } from '../../../lib/bus/channel/store/receipts.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { storedName } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Note } from '../../../schemas/plan.ts';
import type { WaitingStream } from '../../../schemas/stored.ts';
import type { Held } from '../reporting/store-blocked.ts';
import type { Place } from './known-targets.ts';
import { heldOf, isAbout } from './receipts.ts';
import { hasReceiver, notFetched, unclaimedOf } from './unclaimed.ts';

export interface BlockedNotesDeps {
  readonly bus: Bus;
  readonly bucket: StreamsBucket;
  /** How long a receiver has to begin with what is stored for it, in milliseconds. */
  readonly heedMs?: number;
}

/** Characters of what a target says. */
const mostWords = 300;

/** One note for each kind of error: in a package all datasets may be held for the same. */
function notesOf(held: readonly Held[]): Note[] {
  const firsts = [...new Map(held.toReversed().map((one) => [one.start.dataset, one])).values()].reverse();
  return [...Map.groupBy(firsts, ({ error }) => error.code).values()].flatMap(([first, ...others]) => {
    if (!first) return [];
    const { target, start, error } = first;
    const more = others.length > 0 ? `, and for ${others.length} more datasets,` : '';
    const why = `${error.code}: ${error.message.slice(0, mostWords)}`;
    const message = `what waits for ${start.dataset}${more} on ${target} is still in the store: ${why}`;
    return [{ kind: 'held' as const, dataset: start.dataset, message }];
  });
}

/**
 * Why what waits for a place is not taken there, as far as the target says so, or it shows. Nothing is sent past it, so whoever
 * sends there should know. Never fails.
 * @param receipts those of the target
 */
export async function blockedNotes(
  { bus, bucket, heedMs: mostMs = timing.maintenance.claimMs }: BlockedNotesDeps,
  place: Place,
  waiting: readonly WaitingStream[],
  receipts: readonly PlacedReceipt[],
): Promise<Note[]> {
  const said = heldOf(waiting, receipts).filter((one) => isAbout(place, one));
  const unclaimedStreams = unclaimedOf(waiting, receipts).filter((one) => isAbout(place, one));
  const oldest = waiting.find(({ targets }) => targets.some(({ start }) => start === unclaimedStreams[0]?.start));
  if (said.length > 0 || !oldest || !(await hasReceiver(bus, place.host))) return notesOf(said);
  const ms = await bucket.idle([storedName({ kind: 'manifest', id: oldest.id })]).catch(() => undefined);
  if (ms === undefined || ms < mostMs) return [];
  return notesOf(unclaimedStreams.map((one) => ({ ...one, error: notFetched(place.host, oldest.source, ms) })));
}
