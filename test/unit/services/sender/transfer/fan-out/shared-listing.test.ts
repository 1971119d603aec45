import { expect, test } from 'vitest';
import { createZfs, type Zfs } from '../../../../../../lib/zfs/zfs.ts';
import type { DatasetEntry } from '../../../../../../schemas/inventory.ts';
import { shareListing } from '../../../../../../services/sender/transfer/fan-out/shared-listing.ts';

const what = { dataset: 'tank/a', creation: true };

/** A `zfs` whose lists and estimates end when the test ends them. */
function slowly() {
  const lists: PromiseWithResolvers<DatasetEntry[]>[] = [];
  const estimates: PromiseWithResolvers<number | undefined>[] = [];
  const zfs: Zfs = {
    ...createZfs(),
    list() {
      const asked = Promise.withResolvers<DatasetEntry[]>();
      lists.push(asked);
      return asked.promise;
    },
    estimate() {
      const asked = Promise.withResolvers<number | undefined>();
      estimates.push(asked);
      return asked.promise;
    },
  };
  return { zfs, lists, estimates };
}

test('jobs that start together share one list', async () => {
  const { zfs, lists } = slowly();
  const member = shareListing(zfs);
  const [one, two] = [member().list(what), member().list({ ...what })];
  expect(lists).toHaveLength(1);
  lists[0]?.resolve([]);
  expect(await one).toBe(await two);
});

test('another dataset needs another list', () => {
  const { zfs, lists } = slowly();
  const member = shareListing(zfs);
  void member().list(what);
  void member().list({ dataset: 'tank/b', creation: true });
  expect(lists).toHaveLength(2);
});

test('a job that starts after the end of a list gets a new list', async () => {
  const { zfs, lists } = slowly();
  const member = shareListing(zfs);
  const one = member().list(what);
  lists[0]?.resolve([]);
  await one;
  void member().list(what);
  expect(lists).toHaveLength(2);
});

test('the second list of a job is not shared', () => {
  const { zfs, lists } = slowly();
  const member = shareListing(zfs);
  const [one, two] = [member(), member()];
  void one.list(what);
  void one.list(what);
  expect(lists).toHaveLength(2);
  void two.list(what);
  expect(lists).toHaveLength(2);
});

test('a failure is shared by all waiting jobs, and not by later ones', async () => {
  const { zfs, lists } = slowly();
  const member = shareListing(zfs);
  const both = [member().list(what), member().list(what)];
  lists[0]?.reject(new Error('no pool'));
  expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const later = member().list(what);
  lists[1]?.resolve([]);
  expect(await later).toEqual([]);
});

test('a step that several jobs send is estimated once', async () => {
  const { zfs, estimates } = slowly();
  const member = shareListing(zfs);
  const stream = { to: 'tank/a@one', flags: [] };
  const both = [member().estimate(stream), member().estimate(stream)];
  expect(estimates).toHaveLength(1);
  estimates[0]?.resolve(42);
  expect(await Promise.all(both)).toEqual([42, 42]);
});
