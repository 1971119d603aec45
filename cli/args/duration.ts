import { secondsOf } from '../../schemas/units.ts';
import { usage } from '../exit-codes.ts';

/** `90s`, `30m`, `2h30m` or `7d` as seconds. @throws ZpsendError BAD_REQUEST that names the option */
export function parseDuration(option: string, text: string): number {
  const seconds = secondsOf(text);
  if (seconds !== undefined) return seconds;
  throw usage(`${option} ${text}: a duration is a number with s, m, h or d, as in 90s, 30m, 2h30m or 7d`);
}
