import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sourceOf } from '../../../../../lib/bus/channel/byte-source.ts';
import { pump } from '../../../../../lib/bus/channel/pump.ts';
import { openHeadCheck } from '../../../../../lib/zfs/stream-head.ts';
import { createZfs } from '../../../../../lib/zfs/zfs.ts';
import { checkedSource } from '../../../../../services/sender/transfer/checked-source.ts';
import { streamBegin } from '../../../../support/stream-begin.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-checked-'));
});
afterAll(() => rm(folder, { recursive: true }));

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** A stream with so many bytes of properties, as a dataset with many snapshots has them. */
function streamWith(properties: number): Buffer {
  const end = Buffer.alloc(312);
  end.writeUInt32LE(5, 0);
  const outer = properties > 0 ? [streamBegin({ kind: 2n, payload: properties }), end] : [];
  for (const one of outer.slice(0, 1)) randomBytes(properties).copy(one, 312);
  return Buffer.concat([...outer, streamBegin(), randomBytes(2_000_000)]);
}

/** The output of a pump that has room for so many bytes at a time. */
async function pumped(stdout: Readable, room: number): Promise<Buffer> {
  const sent: Buffer[] = [];
  let free = room;
  let wake = (): void => {};
  const freed = async (): Promise<void> => {
    await turn();
    free = room;
    wake();
  };
  await pump(checkedSource(sourceOf(stdout), openHeadCheck({ toguid: '7', raw: false, flags: [] })), {
    room: () => free,
    send(bytes, flushed) {
      sent.push(Buffer.from(bytes));
      free -= bytes.length;
      void turn().then(flushed);
      if (free === 0) void freed();
    },
    failure: () => undefined,
    onChange(listener) {
      wake = listener;
      return () => {};
    },
  });
  return Buffer.concat(sent);
}

describe.each([0, 1000, 200_000, 250_000, 400_000, 3_000_000])('a stream with %i bytes of properties', (properties) => {
  test.each([4096, 65_536, 1_000_000])('is sent whole and in order from a process, with room for %i', async (room) => {
    const stream = streamWith(properties);
    const file = join(folder, `${properties}-${room}`);
    await writeFile(file, stream);
    const bin = join(folder, `bin-${properties}-${room}`);
    await writeFile(join(folder, 'zfs'), `#!/bin/sh\nexec cat "$ZPSEND_TEST_FILE"\n`);
    await chmod(join(folder, 'zfs'), 0o755);
    const zfs = createZfs({ host: 'src', env: { PATH: `${folder}:/usr/bin:/bin`, ZPSEND_TEST_FILE: file, HOME: bin } });
    // a pair of sockets is ready some moment later, and until then a pipe has to do
    for (let isPair = false; !isPair; ) {
      const { stdout, done } = zfs.send({ to: 'tank/a@1' });
      isPair = 'readInto' in stdout;
      expect(digest(await pumped(stdout, room))).toBe(digest(stream));
      await done;
    }
  });

  test.each([1000, 65_536, 5_000_000])('the same from pieces of %i bytes', async (size) => {
    const stream = streamWith(properties);
    const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, at) =>
      stream.subarray(at * size, (at + 1) * size),
    );
    expect(digest(await pumped(Readable.from(pieces), 65_536))).toBe(digest(stream));
  });
});
