import { describe, expect, test } from 'vitest';
import { bytesOf, rate, secondsOf } from '../../../schemas/units.ts';

describe('bytes', () => {
  test.each<[string, number]>([
    ['1024', 1024],
    ['500K', 512_000],
    ['500k', 512_000],
    ['1.5M', 1_572_864],
    ['10MB', 10_485_760],
    ['10MiB/s', 10_485_760],
    ['10 M', 10_485_760],
    ['2G', 2 ** 31],
    ['100Mbit', 12_500_000],
    ['1gbit/s', 125_000_000],
    ['8bit', 1],
  ])('%s', (text, bytes) => expect(bytesOf(text)).toBe(bytes));

  test.each(['', 'M', '-1M', '10Mb', '1e3', '10MM', '10 M B', 'ten', '0x10', '10M/h'])('%j is invalid', (text) => {
    expect(bytesOf(text)).toBeUndefined();
  });
});

describe('spans of time', () => {
  test.each<[string, number]>([
    ['90s', 90],
    ['2m', 120],
    ['1.5h', 5400],
    ['1h30m', 5400],
    ['7d', 604_800],
    ['1d1h1m1s', 90_061],
  ])('%s', (text, seconds) => expect(secondsOf(text)).toBe(seconds));

  test.each(['', '90', 's', '2 m', '1m1h', '-1s', '1w', '2min'])('%j is invalid', (text) => {
    expect(secondsOf(text)).toBeUndefined();
  });
});

test('a number is unchanged, and a text is converted to one', () => {
  expect([rate.parse(2048), rate.parse('2048'), rate.parse('2K')]).toEqual([2048, 2048, 2048]);
  for (const value of [1.5, 1, '1', '1e9', null, {}]) expect(rate.safeParse(value).success).toBe(false);
});
