import { getopt } from './getopt.ts';
import { changePoolOf, clonesOf, findBookmark, openSnapshot } from './lookup.ts';
import { checkedName } from './names.ts';
import { Refusal, usage } from './refusal.ts';

const SYNOPSIS = 'redact <snapshot> <bookmark> <redaction_snapshot> ...';

/** `zfs redact`: creates a redaction bookmark. Redacted streams are not simulated. */
export function redact(argv: readonly string[]): void {
  const { operands } = getopt(argv, '', SYNOPSIS);
  const [full, leaf, ...without] = operands;
  if (full === undefined || leaf === undefined || without.length === 0) throw usage('too few arguments', SYNOPSIS);
  changePoolOf(full, (pool) => {
    const { dataset, snapshot } = openSnapshot(pool, full);
    checkedName(`${dataset.name}#${leaf}`);
    if (findBookmark(dataset, leaf) !== undefined) throw new Refusal('specified redaction bookmark already exists');
    const clones = new Set(clonesOf(pool, full));
    const redaction = without.map((name) => {
      const found = openSnapshot(pool, name);
      if (clones.has(found.dataset)) return found.snapshot.guid;
      throw new Refusal('redaction snapshot is not a descendent of snapshot being redacted');
    });
    const { guid, txg, time, extents, ivset } = snapshot;
    pool.txg += 2;
    dataset.bookmarks.push({ name: leaf, guid, txg, time, extents, redaction, ...(ivset !== undefined && { ivset }) });
  });
}
