import { z } from 'zod';

const sizes = ' KMGTP';
const amount = /^(\d+(?:\.\d+)?) ?([KMGTP]?)(iB|B|bit)?(?:\/s)?$/i;

/**
 * Bytes, or bytes per second: `500K`, `1.5M`, `10MB`, `10MiB/s` in powers of 1024 as in zfs(8), and `100Mbit` in powers of 1000 as for
 * networks. Undefined for any other text; `10Mb` could mean bits, and is refused.
 */
export function bytesOf(text: string): number | undefined {
  const [, count, letter = '', kind = ''] = amount.exec(text) ?? [];
  if (count === undefined || kind === 'b') return undefined;
  const power = Math.max(0, sizes.indexOf(letter.toUpperCase() || ' '));
  const isBits = kind.toLowerCase() === 'bit';
  return Math.round(isBits ? (Number(count) * 1000 ** power) / 8 : Number(count) * 1024 ** power);
}

const span = /^(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?$/i;

/** Seconds, for example `90s`, `2m`, `1h30m`, `7d`. Undefined for any other text, also for a number without a unit. */
export function secondsOf(text: string): number | undefined {
  const [, ...parts] = (text === '' ? null : span.exec(text)) ?? [];
  if (parts.length === 0) return undefined;
  return [86_400, 3600, 60, 1].reduce((sum, unit, at) => sum + unit * Number(parts[at] ?? 0), 0);
}

const isNumber = (text: string): boolean => /^\d+(?:\.\d+)?$/.test(text);

type Unit = 'bytes' | 'bytes per second' | 'seconds' | 'minutes' | 'hours';

/** The schemas of numbers with a unit, with the range of the number; the reference pages show them. */
export const quantities = z.registry<{ unit: Unit; min: number | null; max: number | null }>();

/**
 * A number, or a text that `parse` converts to a number.
 * @param words the allowed forms, for the error
 */
const orText = (number: z.ZodNumber, unit: Unit, parse: (text: string) => number | undefined, words: string) =>
  z
    .union([
      number,
      z
        .string(words)
        .transform((text, context) => {
          const value = isNumber(text) ? Number(text) : parse(text);
          if (value !== undefined) return value;
          context.addIssue({ code: 'custom', message: words, input: text });
          return z.NEVER;
        })
        .pipe(number),
    ])
    .register(quantities, { unit, min: number.minValue, max: number.maxValue });

const sizeUnits = 'K, M, G, T or P';
export const rateWords = `bytes per second, at least 1K, with ${sizeUnits}, or Kbit, Mbit or Gbit, as in 500K, 10M, 100Mbit`;

/** Bytes per second. */
export const rate = orText(z.number().int().min(1024), 'bytes per second', bytesOf, rateWords);

/** @param schema the allowed numbers of bytes */
export const size = (schema: z.ZodNumber) =>
  orText(schema, 'bytes', bytesOf, `a number of bytes, or with ${sizeUnits}, as in 500M, 16G`);

/** @param schema the allowed numbers, in units of `unit` seconds; a number without a unit has this unit */
export const duration = (schema: z.ZodNumber, unit: number, name: 'seconds' | 'minutes' | 'hours') =>
  orText(
    schema,
    name,
    (text) => {
      const seconds = secondsOf(text);
      return seconds === undefined ? undefined : seconds / unit;
    },
    `a number of ${name}, or with s, m, h or d, as in 90s, 2m, 1h30m`,
  );

const flags: Record<string, boolean> = { on: true, yes: true, true: true, off: false, no: false, false: false };
export const flagWords = 'on or off, yes or no, true or false';

/** YAML 1.2 reads `yes` and `on` as text. */
export const flag = z
  .union([
    z.boolean(flagWords),
    z.enum(Object.keys(flags) as [string, ...string[]], flagWords).transform((text) => flags[text] === true),
  ])
  .meta({ title: flagWords });
