import { expect, test } from 'vitest';
import { openPooledReader } from '../../../../../lib/bus/data-connection/buffer-pool.ts';

test('small reads share a pool buffer, and an unreferenced pool buffer is reused', () => {
  const reader = openPooledReader({ size: 100, most: 2 });
  reader.room();
  const one = reader.filled(40);
  one.poolBuffer.retain();
  reader.room();
  const two = reader.filled(40);
  expect(two.poolBuffer).toBe(one.poolBuffer);
  expect(two.bytes.byteOffset).toBe(one.bytes.byteOffset + 40);
  reader.room();
  const three = reader.filled(100);
  three.poolBuffer.retain();
  expect(three.poolBuffer).not.toBe(one.poolBuffer);
  one.poolBuffer.release();
  reader.room();
  expect(reader.filled(1).poolBuffer).toBe(one.poolBuffer);
});

test('a referenced pool buffer is never reused, and many of them make the reader underPressure', () => {
  const reader = openPooledReader({ size: 10, most: 2 });
  const held = Array.from({ length: 3 }, (_, read) => {
    reader.room().fill(read);
    const { bytes, poolBuffer } = reader.filled(10);
    poolBuffer.retain();
    return { bytes, poolBuffer };
  });
  reader.room().fill(9);
  expect(held.map(({ bytes }) => bytes[0])).toEqual([0, 1, 2]);
  expect(reader.underPressure).toBe(true);
  for (const { poolBuffer } of held) poolBuffer.release();
  expect(reader.underPressure).toBe(false);
});
