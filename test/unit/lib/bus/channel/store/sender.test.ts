import { describe, expect, test } from 'vitest';
import type { StoredObject, StreamsBucket } from '../../../../../../lib/bus/channel/store/object-bucket.ts';
import { openStoreSender, type StoreSenderOptions } from '../../../../../../lib/bus/channel/store/sender.ts';
import { openSpaceQueue } from '../../../../../../lib/bus/channel/store/wait-for-space.ts';
import { ZpsendError } from '../../../../../../schemas/errors.ts';
import { type Manifest, manifestSchema } from '../../../../../../schemas/stored.ts';
import { manualClock } from '../../../../../support/manual-clock.ts';
import { storedStream } from '../../../../../support/stored-streams.ts';

const segment = 65_536;
const { targets } = storedStream('stream1', ['dst', 'pool/a']);
const more = storedStream('stream2', ['other', 'pool/a']).targets;
const segments = (count: number): string[] => Array.from({ length: count }, (_, at) => `stream1/00000${at}`);

/** A bucket in memory, whose puts wait until the test completes them. */
function storeWith(options: Partial<StoreSenderOptions> = {}) {
  const log: string[] = [];
  const contents = new Map<string, Buffer>();
  const held = new Map<string, PromiseWithResolvers<void>>();
  const clears: Promise<void>[] = [];
  const clock = manualClock();
  const bucket = {
    source: 'src',
    async put(name: string, bytes: Buffer): Promise<StoredObject> {
      const gate = Promise.withResolvers<void>();
      held.set(name, gate);
      await gate.promise;
      contents.set(name, Buffer.from(bytes));
      log.push(`put ${name}`);
      const digest = `SHA-256=${'A'.repeat(43)}=`;
      return { name, bytes: bytes.length, digest, seq: 0, id: name, chunks: 1 };
    },
    areWhole: async (objects: readonly StoredObject[]) => objects.every(({ name }) => contents.has(name)),
    async remove(name: string) {
      log.push(`remove ${name}`);
      contents.delete(name);
    },
  } as unknown as StreamsBucket;
  const sender = openStoreSender(bucket, {
    ...{ id: 'stream1', targets, patienceMs: 1000, spaceQueue: openSpaceQueue(), segment, ahead: 3, clock },
    clearing: (cleared) => void clears.push(cleared),
    ...options,
  });
  const send = (bytes: number) => {
    sender.take(bytes);
    sender.store?.(Buffer.alloc(bytes));
  };
  /** Completes a put, or fails it. */
  const settle = async (name: string, error?: ZpsendError) => {
    await clock.advance(0);
    const gate = held.get(name);
    if (!gate) throw new Error(`${name} is not being put`);
    held.delete(name);
    if (error) gate.reject(error);
    else gate.resolve();
    await clock.advance(0);
  };
  const manifest = (): Manifest => manifestSchema.parse(JSON.parse(`${contents.get('stream1/manifest')}`));
  return { ...{ sender, send, settle, log, contents, held, clock, manifest }, cleared: () => Promise.all(clears) };
}

const unreachable = new ZpsendError('UNREACHABLE', 'gone', { reason: 'no-bucket' });

describe('a stream that is being stored', () => {
  test('is complete with its manifest, which comes after all segments', async () => {
    const { sender, send, settle, log, manifest } = storeWith();
    send(2 * segment + 5);
    sender.end();
    await settle('stream1/000002');
    await settle('stream1/000000');
    expect(sender.consumed).toBe(segment + 5);
    await settle('stream1/000001');
    await settle('stream1/manifest');
    expect(await sender.final).toMatchObject({ type: 'done', guid: '1', bytes: 2 * segment + 5 });
    expect(log.at(-1)).toBe('put stream1/manifest');
    expect(manifest()).toMatchObject({ id: 'stream1', bytes: 2 * segment + 5, segment, targets });
    expect(manifest().digests).toHaveLength(3);
  });

  test('accepts what fits in the segments in memory, and is called when there is space again', async () => {
    const { sender, send, settle } = storeWith();
    let changes = 0;
    sender.onChange(() => changes++);
    expect(sender.room).toBe(3 * segment);
    send(5);
    expect(sender.room).toBe(3 * segment - 5);
    send(3 * segment - 5);
    expect(sender.room).toBe(0);
    await settle('stream1/000001');
    expect([sender.room, changes]).toEqual([segment, 1]);
    sender.end();
    expect(sender.room).toBe(0);
  });

  test('that fails is deleted without a manifest after its running puts', async () => {
    const { sender, send, settle, log, cleared } = storeWith();
    send(3 * segment);
    await settle('stream1/000000');
    sender.close();
    await settle('stream1/000001', unreachable);
    expect(log).toEqual(['put stream1/000000']);
    await settle('stream1/000002');
    await cleared();
    expect(log.slice(2)).toEqual(segments(3).map((name) => `remove ${name}`));
    expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'ABORTED' } });
  });

  test('whose manifest may be stored is deleted manifest first', async () => {
    const { sender, send, settle, log, cleared } = storeWith();
    send(segment);
    sender.end();
    await settle('stream1/000000');
    await settle('stream1/manifest', unreachable);
    await cleared();
    expect(log).toEqual(['put stream1/000000', 'remove stream1/manifest', 'remove stream1/000000']);
    expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'UNREACHABLE' } });
  });

  test('is not completed if another instance has deleted a segment', async () => {
    const { sender, send, settle, contents, held } = storeWith();
    send(2 * segment);
    await settle('stream1/000000');
    contents.delete('stream1/000000');
    await settle('stream1/000001');
    sender.end();
    expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN' } });
    expect([...held.keys()]).toEqual([]);
  });

  test('waits for a full store, and fails when its patience ends', async () => {
    const full = new ZpsendError('NO_SPACE', 'full', { reason: 'store-full' });
    let waits = 0;
    const { sender, send, settle, clock } = storeWith({ onFull: () => waits++ });
    send(segment);
    for (let tries = 0; tries < 3; tries++) {
      await settle('stream1/000000', full);
      expect(sender.waiting?.code).toBe('NO_SPACE');
      await clock.advance(500);
    }
    await settle('stream1/000000', full);
    expect([waits, sender.waiting]).toEqual([1, undefined]);
    expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'NO_SPACE' } });
  });

  test('that is larger than the store is not stored further', async () => {
    const { sender, send, held } = storeWith({ bound: 2 * segment });
    send(3 * segment);
    expect(await sender.final).toMatchObject({ type: 'failed', error: { details: { reason: 'too-large' } } });
    expect([...held.keys()]).toEqual(['stream1/000000']);
  });

  test('can be left to another one, whose manifest then names both targets', async () => {
    const [first, second] = [storeWith(), storeWith({ id: 'stream2', targets: more })];
    if (first.sender.storage) second.sender.storage?.delegateTo(first.sender.storage);
    for (const { send, sender } of [first, second]) {
      send(segment);
      sender.end();
    }
    expect([...second.held.keys()]).toEqual([]);
    await first.settle('stream1/000000');
    await first.settle('stream1/manifest');
    expect(await second.sender.final).toMatchObject({ type: 'done', bytes: segment });
    expect(first.manifest().targets).toEqual([...targets, ...more]);
  });

  test('that was left to another one removes its target from it when it fails', async () => {
    const [first, second] = [storeWith(), storeWith({ id: 'stream2', targets: more })];
    if (first.sender.storage) second.sender.storage?.delegateTo(first.sender.storage);
    second.sender.close();
    first.send(segment);
    first.sender.end();
    await first.settle('stream1/000000');
    await first.settle('stream1/manifest');
    expect(first.manifest().targets).toEqual(targets);
  });
});
