import { expect, test } from 'vitest';
import { statusKey } from '../../../../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../../../schemas/inventory.ts';
import type { StatusEntry } from '../../../../../schemas/status.ts';
import { failUnplanned } from '../../../../../services/sender/reporting/fail-unplanned.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

const error: ErrorBody = { code: 'UNREACHABLE', message: 'no answer', retryable: true };
const root = { source: 'smos-01', target: 'smos-00', dataset: 'pool/a', into: 'tank/a' };
const child = { ...root, dataset: 'pool/a/b', into: 'tank/a/b' };
const other = { ...root, dataset: 'pool/c', into: 'tank/c' };
const elsewhere = { ...child, into: 'backup/b' };
const sent = { name: 's1', guid: '1001' };
const before: StatusEntry = {
  sent,
  listed: '2026-01-01T00:00:00.000Z',
  written: '2026-01-01T00:00:00.000Z',
};
const shown = new Map([child, other, elsewhere].map((place) => [statusKey(place), before]));

/** The entries written for a job without a plan, by key. */
async function written(
  here: readonly DatasetEntry[] | undefined,
  { isShown = false, isRead = true, isPackage = true } = {},
): Promise<Map<string, StatusEntry>> {
  const entries = new Map<string, StatusEntry>();
  const zfs = {
    list: async () => {
      if (!here) throw new Error('cannot be listed');
      return [...here];
    },
  };
  const status = {
    put: (key: string, entry: () => StatusEntry) => void entries.set(key, entry()),
    ...{ pending: () => [], during: () => {}, stop: async () => {} },
  };
  const job = { job: 'abcdef123456', instance: 'abcdef654321', isRecursive: isPackage, root, isShown };
  await failUnplanned({ zfs, status, clock: manualClock() }, job, { entries: shown, isRead }, error);
  return entries;
}

test('the known entries of an unplanned package fail, and none outside of it or its target', async () => {
  expect([...(await written([])).keys()]).toEqual([statusKey(child)]);
  expect([...(await written([], { isPackage: false })).keys()]).toEqual([]);
});

test('the dataset of the request fails too if its job is shown, or the entries could not be read', async () => {
  for (const options of [{ isShown: true }, { isRead: false }])
    expect([...(await written([], options)).keys()]).toEqual([statusKey(root), statusKey(child)]);
});

test('the lag is kept if the source cannot be listed', async () => {
  const [entry] = (await written(undefined)).values();
  expect(entry).toMatchObject({ sent, run: { state: 'failed' }, error: { code: 'UNREACHABLE' } });
});
