import { addExtent, extentCount } from './content.ts';
import { randomGuid } from './guid.ts';
import { changePoolOf, openDataset } from './lookup.ts';
import { now } from './new-dataset.ts';
import { usage } from './refusal.ts';
import { parseSize } from './space.ts';

const SYNOPSIS = 'zfs-sim-fill <filesystem> <count> [bytes written before each]';

/** `zfs zfs-sim-fill DATASET COUNT [SIZE]`: creates COUNT snapshots, `s000001` and later, each after a small write. */
export function fill([name, count, size = '4K']: readonly string[]): void {
  const wanted = Number(count);
  const bytes = parseSize(size);
  if (name === undefined || !Number.isInteger(wanted) || bytes === undefined) throw usage('missing argument', SYNOPSIS);
  changePoolOf(name, (pool) => {
    const dataset = openDataset(pool, name);
    const first = dataset.snapshots.length;
    for (let at = 1; at <= wanted; at++) {
      if (bytes > 0) addExtent(dataset, bytes);
      pool.txg += 2;
      dataset.snapshots.push({
        name: `s${String(first + at).padStart(6, '0')}`,
        guid: randomGuid(),
        txg: pool.txg,
        time: now(),
        extents: extentCount(dataset),
      });
    }
  });
}
