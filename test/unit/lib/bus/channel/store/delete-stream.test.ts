import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import {
  type Deletion,
  deleteStored,
  incompleteIn,
  listStore,
  piecesToDelete,
} from '../../../../../../lib/bus/channel/store/delete-stream.ts';
import { type DeliveryState, deliveriesOf } from '../../../../../../lib/bus/channel/store/delivery-state.ts';
import type { StreamsBucket } from '../../../../../../lib/bus/channel/store/object-bucket.ts';
import type { ErrorBody } from '../../../../../../schemas/errors.ts';
import { receiptOf, storedStream } from '../../../../../support/stored-streams.ts';

const error: ErrorBody = { code: 'NO_SPACE', message: 'full', retryable: true };
const states: Record<DeliveryState['type'], DeliveryState> = {
  stored: { type: 'stored' },
  unclaimed: { type: 'unclaimed', since: 1 },
  claimed: { type: 'claimed' },
  blocked: { type: 'blocked', error },
  delivered: { type: 'delivered' },
  rejected: { type: 'rejected', error },
  lost: { type: 'lost', error },
};
const all = Object.values(states);
const [zero, one, manifest] = ['stream1/000000', 'stream1/000001', 'stream1/manifest'];

const settled = (deliveries: readonly DeliveryState[], isRecorded = false, segments = 2): Deletion => ({
  ...{ reason: 'settled', id: 'stream1', segments, deliveries, isRecorded },
});
const done = (...types: DeliveryState['type'][]) => types.map((type) => states[type]);

describe('a complete stream', () => {
  test.each(all.flatMap((first) => all.map((second) => [first.type, second.type] as const)))(
    'that is %s at one target and %s at the other goes only when both are done with it',
    (first, second) => {
      const isDone = [first, second].every((type) => ['delivered', 'rejected', 'lost'].includes(type));
      expect(piecesToDelete(settled(done(first, second)))).toEqual(isDone ? [[zero, one]] : []);
      expect(piecesToDelete(settled(done(first, second), true))).toEqual(isDone ? [[zero, one], [manifest]] : []);
    },
  );

  test('keeps its manifest until its receipts are recorded and its segments are deleted', () => {
    expect(piecesToDelete(settled(done('delivered'), false, 0))).toEqual([]);
    expect(piecesToDelete(settled(done('delivered'), true, 0))).toEqual([[manifest]]);
  });

  test('stays if its targets are unknown', () => expect(piecesToDelete(settled([], true))).toEqual([]));

  test('needs a receipt of each target at its index', () => {
    const stream = storedStream('stream1', ['one', 'pool/a'], ['two', 'pool/a'], ['two', 'pool/b']);
    const receipts = [
      receiptOf('one', 'stream1', 'done'),
      receiptOf('two', 'stream1', 'failed', 1),
      receiptOf('two', 'stream1', 'done', 2),
    ];
    const isDeleted = (some: typeof receipts): boolean =>
      piecesToDelete(settled(deliveriesOf([stream], some).map(({ state }) => state))).length > 0;
    expect(isDeleted(receipts)).toBe(true);
    for (const [at, receipt] of receipts.entries()) {
      const others = receipts.filter((_, index) => index !== at);
      expect(isDeleted(others)).toBe(false);
      expect(isDeleted([...others, { ...receipt, receipt: { state: 'running', bytes: 1 } }])).toBe(false);
      expect(isDeleted([...others, { ...receipt, target: 'three' }])).toBe(false);
    }
  });
});

test.each<[string, Deletion, string[][]]>([
  ['that was completed stays', { reason: 'abandoned', isComplete: true, pieces: [zero, manifest] }, []],
  [
    'loses its segments first',
    { reason: 'abandoned', isComplete: false, pieces: [zero, one, manifest] },
    [[zero, one]],
  ],
  ['loses what is left after them', { reason: 'abandoned', isComplete: false, pieces: [manifest] }, [[manifest]]],
  ['of which nothing is left', { reason: 'abandoned', isComplete: false, pieces: [] }, []],
])('the stream of a dead job %s', (_, deletion, pieces) => expect(piecesToDelete(deletion)).toEqual(pieces));

test.each<[string, Deletion, string[][]]>([
  ['loses its segments', { reason: 'failed', id: 'stream1', segments: 2, hasEnded: false }, [[zero, one]]],
  [
    'that had ended loses its manifest first',
    { reason: 'failed', id: 'stream1', segments: 2, hasEnded: true },
    [[manifest], [zero, one]],
  ],
])('the stream of a failed transfer %s', (_, deletion, pieces) => expect(piecesToDelete(deletion)).toEqual(pieces));

describe('deletion', () => {
  /** @param fails names that cannot be removed */
  function bucketWith(...fails: string[]) {
    const removed: string[] = [];
    const remove = async (name: string) => {
      if (fails.includes(name)) throw new Error(name);
      removed.push(name);
    };
    return { removed, bucket: { remove } as unknown as StreamsBucket };
  }
  const failed = { reason: 'failed', id: 'stream1', segments: 20, hasEnded: true } as const;

  test('stops between two groups of objects when it is aborted', async () => {
    const { removed, bucket } = bucketWith();
    const stop = new AbortController();
    const remove = async (name: string) => {
      await bucket.remove(name);
      stop.abort();
    };
    const deletion = settled(done('delivered'), true, 20);
    expect(await deleteStored({ ...bucket, remove }, deletion, stop.signal)).toBe(false);
    expect(removed).toHaveLength(8);
    expect(await deleteStored(bucket, deletion)).toBe(true);
    expect(removed.slice(8)).toHaveLength(21);
  });

  test('fails before the manifest of a settled stream if a segment remains', async () => {
    const { removed, bucket } = bucketWith(zero);
    await expect(deleteStored(bucket, settled(done('delivered'), true))).rejects.toThrow(zero);
    expect(removed).toEqual([one]);
  });

  test('keeps the segments of a failed transfer while its manifest remains', async () => {
    const { removed, bucket } = bucketWith(manifest);
    await expect(deleteStored(bucket, failed)).rejects.toThrow(manifest);
    expect(removed).toEqual([]);
  });

  test('continues with the segments of a failed transfer, which nothing else retries soon', async () => {
    const { removed, bucket } = bucketWith(zero);
    await expect(deleteStored(bucket, failed)).rejects.toThrow(zero);
    expect(removed).toHaveLength(20);
  });

  test('a stream without a manifest is incomplete only in a listing without a concurrent completion', async () => {
    const names: string[] = [];
    const bucket = {
      withChunks: async () => {
        // completed during the listing
        names.push('stream1/000000', 'stream1/manifest');
        return ['stream1/000000', 'stream2/000000', 'stream2/manifest', 'known/dst/pool/a'];
      },
      names: async () => [...names],
    } as unknown as StreamsBucket;
    expect([...incompleteIn(await listStore(bucket))]).toEqual([['stream2', ['stream2/000000', 'stream2/manifest']]]);
  });
});

test('nothing else deletes from a store', async () => {
  const root = resolve(import.meta.dirname, '../../../../../..');
  const files = (await Promise.all(['lib', 'services', 'cli'].map((folder) => listed(root, folder)))).flat();
  const uses = await Promise.all(
    files.map(async (file) => removesIn(await readFile(join(root, file), 'utf8')).map((use) => `${file}: ${use}`)),
  );
  // leases and receipts are entries of other buckets
  expect(uses.flat().sort()).toEqual([
    'lib/bus/channel/store/delete-stream.ts: bucket.remove',
    'lib/bus/locks/lease.ts: entries.remove',
    'services/receiver/store/poll.ts: receipts.remove',
  ]);
});

test.each([
  ['this.#bucket.remove(name)', ['this.#bucket.remove']],
  ['store?.remove(name)', ['store?.remove']],
  ["store['remove'](name)", ["store['remove']"]],
  ['names.map(bucket.remove)', ['bucket.remove']],
  ['const { remove } = bucket;', ['remove']],
  ['const { remove: drop } = bucket;', ['remove: drop']],
  ['function drop({ remove }: StreamsBucket) {}', ['remove']],
  ['const all = { remove: async () => {} }; // bucket.remove', []],
])('a use of a deletion is found: %s', (text, uses) => {
  expect(removesIn(text)).toEqual(uses);
});

/** The accesses to members of the name `remove`, which is the deletion of a store. */
function removesIn(text: string): string[] {
  if (!text.includes('remove')) return [];
  const source = ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest, true);
  const uses: string[] = [];
  const visit = (node: ts.Node): void => {
    const member =
      (ts.isPropertyAccessExpression(node) && node.name.text) ||
      (ts.isElementAccessExpression(node) &&
        ts.isStringLiteralLike(node.argumentExpression) &&
        node.argumentExpression.text) ||
      (ts.isBindingElement(node) && (node.propertyName ?? node.name).getText());
    if (member === 'remove') uses.push(node.getText());
    ts.forEachChild(node, visit);
  };
  visit(source);
  return uses;
}

const listed = async (root: string, folder: string): Promise<string[]> =>
  (await readdir(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1));
