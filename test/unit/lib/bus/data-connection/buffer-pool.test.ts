import { expect, test } from 'vitest';
import { openSlabReader } from '../../../../../lib/bus/data-connection/buffer-pool.ts';

test('small reads share a slab, and a slab is read into again when nobody holds it', () => {
  const reader = openSlabReader({ size: 100, most: 2 });
  reader.room();
  const one = reader.filled(40);
  one.slab.retain();
  reader.room();
  const two = reader.filled(40);
  expect(two.slab).toBe(one.slab);
  expect(two.bytes.byteOffset).toBe(one.bytes.byteOffset + 40);
  reader.room();
  const three = reader.filled(100);
  three.slab.retain();
  expect(three.slab).not.toBe(one.slab);
  one.slab.release();
  reader.room();
  expect(reader.filled(1).slab).toBe(one.slab);
});

test('a held slab is never read into, and many held ones make the reader crowded', () => {
  const reader = openSlabReader({ size: 10, most: 2 });
  const held = Array.from({ length: 3 }, (_, read) => {
    reader.room().fill(read);
    const { bytes, slab } = reader.filled(10);
    slab.retain();
    return { bytes, slab };
  });
  reader.room().fill(9);
  expect(held.map(({ bytes }) => bytes[0])).toEqual([0, 1, 2]);
  expect(reader.crowded).toBe(true);
  for (const { slab } of held) slab.release();
  expect(reader.crowded).toBe(false);
});
