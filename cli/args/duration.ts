import { usage } from '../exit-codes.ts';

const units = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `30m`, `26h` or `7d` as seconds. @throws ZpsendError BAD_REQUEST that names the option */
export function parseDuration(option: string, text: string): number {
  const [, count, unit] = /^([0-9]{1,6})([smhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) return Number(count) * units[unit as keyof typeof units];
  throw usage(`${option} ${text}: a duration is a number and a unit, as in 90s, 30m, 26h or 7d`);
}
