import type { Wait } from '../../schemas/job.ts';

const two = (count: number): string => String(count).padStart(2, '0');

/** Local time of day, with the date unless it is today. @param iso UTC */
function clock(iso: string, today = new Date()): string {
  const at = new Date(iso);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const isToday = at.toDateString() === today.toDateString();
  return isToday ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** Why a job waits, and until when. */
export const waitWords = ({ code, message, until }: Wait): string =>
  `${code}: ${message}; ${until === undefined ? 'waiting without a limit' : `retrying until ${clock(until)}`}`;
