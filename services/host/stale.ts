import { ZpsendError } from '../../schemas/errors.ts';
import type { Leftover, LeftoverNote, Leftovers, Mended } from '../../schemas/stale.ts';

/** What one look has found. */
export interface Found {
  readonly leftovers: readonly Leftover[];
  readonly notes: readonly LeftoverNote[];
}

const mostListed = 1000;
const mostNotes = 100;
/** Of why something was not mended, in characters. */
const mostWhy = 300;

/** The reply to a look: as much as is small beside what one message may hold, and how many more there are. */
export function leftoversReply(host: string, { leftovers, notes }: Found, maxPayload: number): Leftovers {
  const listed: Leftover[] = [];
  let room = maxPayload / 4;
  for (const leftover of leftovers.slice(0, mostListed)) {
    room -= Buffer.byteLength(JSON.stringify(leftover)) + mostWhy;
    if (room < 0) break;
    listed.push(leftover);
  }
  return { host, leftovers: listed, more: leftovers.length - listed.length, notes: notes.slice(0, mostNotes) };
}

/**
 * Mends exactly what was asked for, and of that only what a new look still finds to be a leftover: what has changed
 * since it was listed is left alone.
 * @param mendOne releases the hold, or removes the bookmark, and nothing else
 */
export async function mend(
  host: string,
  asked: readonly Leftover[],
  look: () => Promise<Found>,
  mendOne: (leftover: Leftover) => Promise<unknown>,
): Promise<Mended> {
  const found = new Set((await look()).leftovers.map(keyOf));
  const mended: Leftover[] = [];
  const unmended: Mended['unmended'] = [];
  for (const leftover of asked) {
    if (!found.has(keyOf(leftover))) {
      unmended.push({ leftover, why: 'it is gone, or is in use again' });
      continue;
    }
    try {
      await mendOne(leftover);
      mended.push(leftover);
    } catch (thrown) {
      unmended.push({ leftover, why: ZpsendError.from(thrown).message.slice(0, mostWhy) });
    }
  }
  return { host, mended, unmended };
}

/** Names and guids, so that nothing that has taken a name since is meant. */
const keyOf = (leftover: Leftover): string =>
  leftover.kind === 'cursor'
    ? `${leftover.bookmark} ${leftover.guid}`
    : `${leftover.tag} ${leftover.snapshot} ${leftover.guid}`;
