import { ZpsendError } from '../../schemas/errors.ts';
import type { Repaired, StaleMark, StaleMarks, StaleNote } from '../../schemas/stale.ts';

/** The findings of one check. */
export interface Found {
  readonly staleMarks: readonly StaleMark[];
  readonly notes: readonly StaleNote[];
}

const mostListed = 1000;
const mostNotes = 100;
/** Of why something was not repaired, in characters. */
const mostWhy = 300;

/** The reply to a check: a list far below the size limit of one message, and the number of further marks. */
export function staleReply(host: string, { staleMarks, notes }: Found, maxPayload: number): StaleMarks {
  const listed: StaleMark[] = [];
  let room = maxPayload / 4;
  for (const staleMark of staleMarks.slice(0, mostListed)) {
    room -= Buffer.byteLength(JSON.stringify(staleMark)) + mostWhy;
    if (room < 0) break;
    listed.push(staleMark);
  }
  return { host, staleMarks: listed, more: staleMarks.length - listed.length, notes: notes.slice(0, mostNotes) };
}

/**
 * Repairs exactly the requested marks, and of these only those that a new check still finds to be stale: what has changed
 * since it was listed is left alone.
 * @param repairOne releases the hold, or removes the bookmark, and nothing else
 */
export async function repair(
  host: string,
  asked: readonly StaleMark[],
  look: () => Promise<Found>,
  repairOne: (staleMark: StaleMark) => Promise<unknown>,
): Promise<Repaired> {
  const found = new Set((await look()).staleMarks.map(keyOf));
  const repaired: StaleMark[] = [];
  const notRepaired: Repaired['notRepaired'] = [];
  for (const staleMark of asked) {
    if (!found.has(keyOf(staleMark))) {
      notRepaired.push({ staleMark, why: 'it is gone, or is in use again' });
      continue;
    }
    try {
      await repairOne(staleMark);
      repaired.push(staleMark);
    } catch (thrown) {
      notRepaired.push({ staleMark, why: ZpsendError.from(thrown).message.slice(0, mostWhy) });
    }
  }
  return { host, repaired, notRepaired };
}

/** Names and guids, so that nothing that has taken a name since is meant. */
const keyOf = (staleMark: StaleMark): string =>
  staleMark.kind === 'cursor'
    ? `${staleMark.bookmark} ${staleMark.guid}`
    : `${staleMark.tag} ${staleMark.snapshot} ${staleMark.guid}`;
