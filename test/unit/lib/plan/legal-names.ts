import fc from 'fast-check';
import { maxNameLength } from '../../../../schemas/names.ts';

const letters = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const characters = [...letters, ...'0123456789', ...'-_.: '];

const word = (maxLength: number) =>
  fc
    .string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength })
    .filter((text) => !/^\.{1,2}$/.test(text));

/** Every dataset name that ZFS takes: a pool that begins with a letter, and components of letters, digits and `-_.: `. */
export const datasetNames: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...letters), fc.option(word(20), { nil: '' }), fc.array(word(40), { maxLength: 12 }))
  .map(([first, rest, components]) => [first + rest, ...components].join('/'))
  .filter((name) => name.length <= maxNameLength);

/** The part after `@`. */
export const leafNames: fc.Arbitrary<string> = word(60);

export const hostNames: fc.Arbitrary<string> = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
