import { expect, it } from 'vitest';
import { ivSetOf } from '../../lib/verify/iv-set.ts';

/** A native nvpair of a 64-bit number, little endian, as `nvlist_pack` lays it out. */
function pair(name: string, value: bigint, type = 8): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeInt32LE(40, 0);
  bytes.writeInt16LE(name.length + 1, 4);
  bytes.writeInt32LE(1, 8);
  bytes.writeInt32LE(type, 12);
  bytes.write(name, 16);
  bytes.writeBigUInt64LE(value, 32);
  return bytes;
}
const packed = (...pairs: Buffer[]) =>
  Buffer.concat([Buffer.of(0, 1, 0, 0), Buffer.alloc(8), ...pairs, Buffer.alloc(4)]);

it('finds the guid among other pairs', () => {
  expect(ivSetOf(packed(pair('other_guid000', 5n), pair('to_ivset_guid', 0xffff_ffff_ffff_fff1n)))).toBe(
    '18446744073709551601',
  );
});

it('finds none where there is none, or where the payload is cut off within it', () => {
  expect(ivSetOf(packed(pair('other_guid000', 5n)))).toBeUndefined();
  expect(ivSetOf(Buffer.alloc(0))).toBeUndefined();
  expect(ivSetOf(packed(pair('to_ivset_guid', 5n)).subarray(0, 48))).toBeUndefined();
  expect(ivSetOf(packed(pair('to_ivset_guid', 5n, 9)))).toBeUndefined();
});
