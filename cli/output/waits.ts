import type { Wait } from '../../schemas/job.ts';

const two = (count: number): string => String(count).padStart(2, '0');

/** The time of day on this machine's clock, with the date where that is not today. @param iso UTC */
function clock(iso: string, today = new Date()): string {
  const at = new Date(iso);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const isToday = at.toDateString() === today.toDateString();
  return isToday ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** What a job waits for, and until when. */
export const waitWords = ({ code, message, until }: Wait): string =>
  `${code}: ${message}; ${until === undefined ? 'waiting as long as it takes' : `trying until ${clock(until)}`}`;
