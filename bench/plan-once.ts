import { plan } from '../lib/plan/plan.ts';
import { jobContextsOf } from '../lib/plan/request/accept-request.ts';
import type { DatasetEntry, Inventory, SnapshotEntry } from '../schemas/inventory.ts';

/**
 * One plan in a separate process: `node bench/plan-once.ts DATASETS empty|half`. Every tenth dataset is a clone of the
 * one before it. `half`: the target has half the datasets, with half their snapshots. Prints seconds, steps and peak memory.
 */
const [count = '1000', filled = 'empty'] = process.argv.slice(2);
const snapshotsEach = 100;

const entry = (dataset: number, at: number): SnapshotEntry => ({
  name: `auto-2026-01-01_${String(at).padStart(4, '0')}`,
  guid: String(10n ** 18n + BigInt(dataset * 1000 + at)),
  createtxg: String(1000 * at + 100_000),
  used: 8192,
  referenced: 1_000_000,
  written: 8192,
  userrefs: 0,
});

const nameOf = (root: string, at: number): string => `${root}/group${at % 50}/fs${Math.floor(at / 50)}`;

function datasetAt(root: string, at: number, snapshots: number, salt: bigint): DatasetEntry {
  const isClone = at % 10 === 9;
  return {
    name: nameOf(root, at),
    type: 'filesystem',
    guid: String(salt + BigInt(at)),
    createtxg: '5',
    used: 1_000_000,
    referenced: 1_000_000,
    written: 0,
    encryption: 'off',
    ...(isClone && {
      origin: { name: `${nameOf(root, at - 1)}@${entry(at - 1, 0).name}`, guid: entry(at - 1, 0).guid },
    }),
    snapshots: Array.from({ length: snapshots }, (_, place) => entry(at, place)),
    bookmarks: [],
  };
}

const top = (root: string, salt: bigint): DatasetEntry[] =>
  [root, ...Array.from({ length: 50 }, (_, at) => `${root}/group${at}`)].map((name, at) => ({
    ...datasetAt(root, 0, 0, salt),
    name,
    guid: String(salt * 7n + BigInt(at)),
  }));

const all = Array.from({ length: Number(count) }, (_, at) => at);
const source: Inventory = {
  host: 'src',
  datasets: [
    ...top('tank/data', 10n ** 17n),
    ...all.map((at) => datasetAt('tank/data', at, snapshotsEach, 3n * 10n ** 17n)),
  ],
};
const target: Inventory = {
  host: 'dst',
  datasets:
    filled === 'empty'
      ? []
      : [
          ...top('dozer/data', 2n * 10n ** 17n),
          ...all
            .filter((at) => at % 20 < 10)
            .map((at) => datasetAt('dozer/data', at, snapshotsEach / 2, 4n * 10n ** 17n)),
        ],
};
const [context] = jobContextsOf('src', [
  { dataset: 'tank/data', package: 'replication', to: { host: 'dst', dataset: 'dozer/data' } },
]);
if (!context) throw new Error('no request');
const began = performance.now();
const result = plan(context, source, target);
const seconds = (performance.now() - began) / 1000;
if (!result.ok || result.refused) throw new Error(JSON.stringify(result.ok ? result.refused?.[0] : result.error));
// maxRSS is in kilobytes (Node's process.resourceUsage)
const rss = process.resourceUsage().maxRSS / 1000;
process.stdout.write(`${JSON.stringify({ datasets: Number(count), steps: result.steps.length, seconds, rss })}\n`);
