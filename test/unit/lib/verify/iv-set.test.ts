import { expect, it } from 'vitest';
import { ivSetOf } from '../../../../lib/verify/iv-set.ts';
import { nvlist } from '../../../support/send-stream.ts';

it('finds the guid among other pairs', () => {
  const payload = Buffer.concat([nvlist('other_guid', 5n), nvlist('to_ivset_guid', 0xffff_ffff_ffff_fff1n)]);
  expect(ivSetOf(payload)).toBe('18446744073709551601');
});

it('finds none if there is none, or if the payload is cut within it', () => {
  expect(ivSetOf(nvlist('other_guid', 5n))).toBeUndefined();
  expect(ivSetOf(Buffer.alloc(0))).toBeUndefined();
  expect(ivSetOf(nvlist('to_ivset_guid', 5n).subarray(0, 48))).toBeUndefined();
  expect(ivSetOf(nvlist('to_ivset_guid', 5n, 9))).toBeUndefined();
});
