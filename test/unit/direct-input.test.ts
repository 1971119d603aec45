import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Slab } from '../../lib/bus/bulk/slab.ts';
import { openInput } from '../../lib/bus/direct/input.ts';

/** Memory that counts who holds it. */
function aSlab() {
  let holders = 0;
  const slab: Slab = {
    bytes: Buffer.alloc(8),
    retain() {
      holders += 1;
    },
    release() {
      holders -= 1;
    },
  };
  return { slab, holders: () => holders };
}

const open = () => openInput({ crowded: () => false, written: () => {} });

test('an input that is cut lets go of what waits for a zfs receive that has not begun', () => {
  const [waiting, filling] = [aSlab(), aSlab()];
  const input = open();
  input.push(waiting.slab.bytes, waiting.slab);
  input.flush();
  input.push(filling.slab.bytes, filling.slab);
  expect([waiting.holders(), filling.holders()]).toEqual([1, 1]);
  input.cut();
  expect([waiting.holders(), filling.holders()]).toEqual([0, 0]);
});

test('an input that is cut lets go of what a zfs receive does not take any more', async () => {
  const { slab, holders } = aSlab();
  let unwritten = (_: Error): void => {};
  // as a pipe: a write under way fails when it is closed
  const stuck = new Writable({
    write(_, __, done) {
      unwritten = done;
    },
    destroy(error, done) {
      unwritten(new Error('closed'));
      done(error);
    },
  });
  const input = open();
  input.attach(stuck);
  for (let n = 0; n < 3; n += 1) {
    input.push(slab.bytes, slab);
    input.flush();
  }
  expect(holders()).toBe(3);
  input.cut();
  stuck.destroy();
  await expect.poll(holders).toBe(0);
});

test('an input that was cut takes nothing more, and holds nothing', () => {
  const { slab, holders } = aSlab();
  const input = open();
  input.cut();
  input.push(slab.bytes, slab);
  input.flush();
  expect(holders()).toBe(0);
});
