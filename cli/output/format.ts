import type { ErrorBody } from '../../schemas/errors.ts';

const units = ['B', 'K', 'M', 'G', 'T', 'P', 'E'] as const;

/** Bytes as in `zfs list`: powers of 1024, three digits (`0B`, `23K`, `1.11M`, `236G`). */
export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  // 1023.5K would be rounded to 1024K
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || Number.isInteger(value) || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)}${units[unit]}`;
}

/** Bytes per second; `-` if unknown. */
export const rate = (bytesPerSecond: number | undefined): string =>
  bytesPerSecond === undefined ? '-' : `${bytes(Math.round(bytesPerSecond))}/s`;

const spans = [
  { most: 60, unit: 1, names: ['s'] },
  { most: 3600, unit: 60, names: ['m', 's'] },
  { most: 86_400, unit: 3600, names: ['h', 'm'] },
  { most: Number.POSITIVE_INFINITY, unit: 86_400, names: ['d', 'h'] },
] as const;

/** Seconds as `0.4s`, `12s`, `3m04s`, `1h02m`, `2d03h`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const at = spans.findIndex(({ most }) => whole < most);
  const { unit, names } = spans[at] ?? spans[3];
  const below = spans[at - 1]?.unit;
  const rest = below === undefined ? '' : `${String(Math.floor((whole % unit) / below)).padStart(2, '0')}${names[1]}`;
  return `${Math.floor(whole / unit)}${names[0]}${rest}`;
}

/** Seconds since the epoch as `2026-11-30T05:39:34Z`; `-` if unknown. */
export function moment(seconds: number | undefined): string {
  const at = new Date((seconds ?? Number.NaN) * 1000);
  return Number.isNaN(at.getTime()) ? '-' : at.toISOString().replace('.000', '');
}

/** `1 step`, `2 steps` */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Characters of an error in a table; `--json` has all of it. */
const maxError = 100;

/** An error in one cell of a table; `-` for none. */
export function errorCell(error: Pick<ErrorBody, 'code' | 'message'> | undefined): string {
  if (!error) return '-';
  const text = `${error.code}: ${error.message.replace(/\s+/g, ' ')}`;
  return text.length > maxError ? `${text.slice(0, maxError - 3)}...` : text;
}
