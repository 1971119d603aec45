import { expect, test } from 'vitest';
import { codesOf, mentions } from '../../../support/mentions.ts';

test.each(['pool/a', 'smos-01', 'pool/a@1', '--force', '"many"', '>=1', 7, 'zfs load-key pool/a', 'send.compression'])(
  'a text mentions %s in any words, and only as a whole',
  (fact) => {
    for (const text of [`${fact}`, `on\n${fact}: no`, `(${fact})`, `say ${fact}.`, `of ${fact}, it`])
      expect(text).toEqual(mentions(fact));
    expect('another').not.toEqual(mentions(fact));
  },
);

test.each(['pool/a/b', 'x/pool/a', 'pool/a@1', 'pool/a-2', 'a.pool/a', 'pool/a.x'])('%s is not pool/a', (other) =>
  expect(`into ${other}, not there`).not.toEqual(mentions('pool/a')),
);

test('all facts are wanted, in any order', () => {
  expect('b then a').toEqual(mentions('a', 'b'));
  expect('b then c').not.toEqual(mentions('a', 'b'));
});

test('the codes of a command’s errors start a line', () => {
  expect(codesOf('smos-00: 1 of 2\nzpsend: NO_SPACE: full\nzpsend: not a code\nzpsend: DIVERGED: no\n')).toEqual([
    'NO_SPACE',
    'DIVERGED',
  ]);
});
