import { Writable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openInput } from '../../../../../../lib/bus/channel/direct/receive-input.ts';
import { openPooledReader, type PoolBuffer } from '../../../../../../lib/bus/data-connection/buffer-pool.ts';
import { openProtocolSplitter } from '../../../../../../lib/bus/data-connection/protocol-splitter.ts';

/** Memory that counts its references. */
function aPoolBuffer() {
  let holders = 0;
  const poolBuffer: PoolBuffer = {
    bytes: Buffer.alloc(8),
    retain() {
      holders += 1;
    },
    release() {
      holders -= 1;
    },
  };
  return { poolBuffer, holders: () => holders };
}

const open = () => openInput({ underPressure: () => false, written: () => {} });

test('a cut input releases the bytes that wait for a zfs receive that has not started', () => {
  const [waiting, filling] = [aPoolBuffer(), aPoolBuffer()];
  const input = open();
  input.push(waiting.poolBuffer.bytes, waiting.poolBuffer);
  input.flush();
  input.push(filling.poolBuffer.bytes, filling.poolBuffer);
  expect([waiting.holders(), filling.holders()]).toEqual([1, 1]);
  input.cut();
  expect([waiting.holders(), filling.holders()]).toEqual([0, 0]);
});

test('a cut input releases the bytes that a zfs receive does not read', async () => {
  const { poolBuffer, holders } = aPoolBuffer();
  let unwritten = (_: Error): void => {};
  // like a pipe: a running write fails when it is closed
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
    input.push(poolBuffer.bytes, poolBuffer);
    input.flush();
  }
  expect(holders()).toBe(3);
  input.cut();
  stuck.destroy();
  await expect.poll(holders).toBe(0);
});

test('a cut input accepts nothing more, and keeps no memory', () => {
  const { poolBuffer, holders } = aPoolBuffer();
  const input = open();
  input.cut();
  input.push(poolBuffer.bytes, poolBuffer);
  input.flush();
  expect(holders()).toBe(0);
});

/** Reads its input only at the end of a write, as a pipe may. */
function slowSink() {
  const taken: Buffer[] = [];
  const waiting: (() => void)[] = [];
  const later = (chunks: readonly Buffer[], done: () => void): void => {
    waiting.push(() => {
      taken.push(...chunks.map((chunk) => Buffer.from(chunk)));
      done();
    });
  };
  const sink = new Writable({
    highWaterMark: 1,
    write: (chunk, _, done) => later([chunk], done),
    writev: (chunks, done) =>
      later(
        chunks.map(({ chunk }) => chunk),
        done,
      ),
  });
  return { sink, take: () => waiting.shift()?.(), taken: () => Buffer.concat(taken).toString('latin1') };
}

test('two streams that share memory arrive unchanged, for any reads and slow sinks', async () => {
  const messages = fc.array(
    fc.record({ id: fc.constantFrom(7, 8), body: fc.stringMatching(/^[a-z]{1,90}$/), isForeign: fc.boolean() }),
    { minLength: 1, maxLength: 60 },
  );
  const reads = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(messages, reads, fc.nat(3), async (all, sizes, lag) => {
      const reader = openPooledReader({ size: 400, most: 4 });
      const splitter = openProtocolSplitter(() => {});
      const streams = new Map(
        [7, 8].map((id) => {
          const to = slowSink();
          const input = openInput({ underPressure: () => reader.underPressure, written: () => {} });
          input.attach(to.sink);
          splitter.subscriptions.set(id, {
            subject: 's',
            begin() {},
            piece: input.push,
            pause: input.flush,
            unexpected() {},
          });
          return [id, to];
        }),
      );
      const wire = Buffer.from(
        all.map(({ id, body, isForeign }) => `MSG s ${isForeign ? 9 : id} ${body.length}\r\n${body}\r\n`).join(''),
      );
      for (let at = 0, read = 0; at < wire.length; read += 1) {
        const room = reader.room();
        const length = wire.copy(room, 0, at, at + Math.min(room.length, sizes[read % sizes.length] ?? 1));
        const { bytes, poolBuffer } = reader.filled(length);
        splitter.feed(bytes, poolBuffer);
        at += length;
        if (read % (lag + 1) === lag) for (const to of streams.values()) to.take();
        await Promise.resolve();
      }
      for (const [id, to] of streams) {
        const sent = all.flatMap((one) => (one.id === id && !one.isForeign ? one.body : [])).join('');
        for (let tries = 0; tries < 500 && to.taken().length < sent.length; tries += 1) {
          to.take();
          await Promise.resolve();
        }
        expect(to.taken()).toBe(sent);
      }
    }),
    { numRuns: 200 },
  );
});
