import type { Random } from '../support/random.ts';

const deep = JSON.parse('['.repeat(500) + ']'.repeat(500));

/** Values that a schema, a parser or a shell could stumble over. */
const strange: readonly ((random: Random) => unknown)[] = [
  ...[null, -1, 1e308, 2 ** 53, 0.5, '', true, [], {}, deep].map((value) => () => value),
  ...['-rf', '../..', 'pool/a@1', 'pool', 'pool/x y', '*', '_fan', '\u0000\n\t\u202e'].map((text) => () => text),
  ...['src', 'dst', 'enemy', '18446744073709551616', 'discard', '1-0-0-00'].map((text) => () => text),
  () => ({ __proto__x: 1, constructor: { prototype: 1 } }),
  (random) => 'a'.repeat(random.below(20_000)),
  (random) => Array.from({ length: random.below(2000) }, () => 'pool/a'),
  () => '0'.repeat(64_000),
];
const names = ['__proto__', 'constructor', 'before', 'shared', 'origin', 'from', 'props', 'recursive', 'more', 'part'];

const strangeOne = (random: Random): unknown => random.pick(strange)?.(random);

/** A JSON value like the given one, in which something is missing, added, or of another kind. */
function mutated(value: unknown, random: Random, depth = 0): unknown {
  if (random.chance(0.08) || depth > 8) return strangeOne(random);
  if (Array.isArray(value)) {
    const all = value.map((one) => (random.chance(0.4) ? mutated(one, random, depth + 1) : one));
    if (random.chance(0.2)) all.push(strangeOne(random));
    return random.chance(0.1) ? [...all, ...all, ...all] : all;
  }
  if (typeof value === 'object' && value !== null) {
    const kept = Object.entries(value).filter(() => !random.chance(0.05));
    const entries = kept.map(([key, one]) => [key, random.chance(0.3) ? mutated(one, random, depth + 1) : one]);
    if (random.chance(0.1)) entries.push([random.pick(names), strangeOne(random)]);
    return Object.fromEntries(entries);
  }
  if (typeof value === 'string' && random.chance(0.4)) return flipped(Buffer.from(value), random).toString('latin1');
  return random.chance(0.5) ? strangeOne(random) : value;
}

/** The bytes with some changed, cut off, doubled, or others behind them. */
function flipped(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let times = random.below(4); times > 0 && copy.length > 0; times--)
    copy[random.below(copy.length)] = random.below(256);
  if (random.chance(0.2)) return copy.subarray(0, random.below(copy.length + 1));
  if (random.chance(0.1)) return Buffer.concat([copy, copy]);
  if (random.chance(0.1)) return Buffer.concat([copy, Buffer.from(Array.from({ length: 9 }, () => random.below(256)))]);
  return copy;
}

/** A body like the given one: as JSON where it is some, else as bytes; now and then something else altogether. */
export function mutatedBody(body: Buffer, random: Random): Buffer {
  if (random.chance(0.03)) return Buffer.alloc(random.below(900_000), 0x7b);
  if (random.chance(0.03)) return Buffer.from(`{"a":${'['.repeat(20_000)}`);
  if (random.chance(0.05)) return Buffer.alloc(0);
  if (random.chance(0.15)) return body;
  if (random.chance(0.2)) return flipped(body, random);
  try {
    return Buffer.from(JSON.stringify(mutated(JSON.parse(body.toString()), random)) ?? '');
  } catch {
    return flipped(body, random);
  }
}

/** The subject with a token of another seen one now and then, so that ids of living transfers meet. */
export function mutatedSubject(subject: string, seen: readonly string[], random: Random): string {
  if (random.chance(0.6)) return subject;
  const tokens = subject.split('.');
  const at = random.below(tokens.length - 1) + 1;
  const other = random.pick(seen)?.split('.').at(at) ?? random.pick(['src', 'dst', 'x', 'zzzzzz']) ?? 'x';
  return tokens.with(at, other).join('.');
}
