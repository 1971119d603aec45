import { type Clock, systemClock } from '../../../lib/time/clock.ts';

/** A moment of this process's monotonic clock for other processes: UTC, to the second. @param at monotonic milliseconds */
export const wallClock = (at: number, clock: Pick<Clock, 'now' | 'date'> = systemClock): string => {
  const seconds = Math.round((clock.date() + at - clock.now()) / 1000);
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
};
