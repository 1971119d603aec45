import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { isCommon, withContents } from '../../../lib/verify/compare.ts';
import { contentOf, readingOf } from '../../../lib/verify/contents.ts';
import type { Digest } from '../../../schemas/digest.ts';
import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { Content, VerifiedDataset, VerifiedSnapshot } from '../../../schemas/verify.ts';
import { bytes, rate } from '../../output/format.ts';
import type { Io } from '../../output/terminal.ts';
import { readSnapshot } from './read-digest.ts';
import type { Side } from './sides.ts';

export interface Reader {
  readonly bus: Bus;
  readonly io: Io;
  readonly source: Side;
  readonly target: Side;
  /** Every common snapshot, and not only the newest of each dataset. */
  readonly all: boolean;
  /** Ends the reading: the remaining snapshots are reported as failed. */
  readonly signal: AbortSignal;
}

/** Reads the common snapshots, one after the other and on both sides at once, and adds the results. */
export async function readContents(reader: Reader, datasets: readonly VerifiedDataset[]): Promise<VerifiedDataset[]> {
  const done: VerifiedDataset[] = [];
  for (const dataset of datasets) {
    const wanted = dataset.snapshots.filter(isCommon);
    const chosen = new Set(reader.all ? wanted : wanted.slice(-1));
    const snapshots: VerifiedSnapshot[] = [];
    for (const snapshot of dataset.snapshots) {
      const content = chosen.has(snapshot) ? await contentFor(reader, dataset, snapshot) : undefined;
      snapshots.push(content ? { ...snapshot, content } : snapshot);
    }
    done.push(withContents(dataset, snapshots));
  }
  reader.io.live([]);
  return done;
}

const entryOf = ({ inventory }: Side, name: string): DatasetEntry | undefined =>
  inventory.datasets.find((entry) => entry.name === name);

async function contentFor(
  reader: Reader,
  dataset: VerifiedDataset,
  row: VerifiedSnapshot,
): Promise<Content | undefined> {
  const { source, target } = reader;
  const [ours, theirs] = [entryOf(source, dataset.source), entryOf(target, dataset.target)];
  if (!ours || !theirs || !row.source || !row.target) return undefined;
  const reading = readingOf(ours, theirs);
  if ('incomparable' in reading) return { state: 'incomparable', reason: reading.incomparable };
  const { raw } = reading;
  // if one side fails, the other can stop
  const otherFailed = new AbortController();
  const signal = AbortSignal.any([reader.signal, otherFailed.signal]);
  const progress = new Map<string, string>();
  const read = async (side: Side, snapshot: string) => {
    const onDigest = (digest: Digest) => {
      progress.set(`${side.host} ${snapshot}`, `${bytes(digest.bytes)} ${rate(digest.bytes / digest.seconds)}`);
      reader.io.live([...progress].map(([what, amount]) => `${what}: ${amount}`));
    };
    const onBusy = (message: string) => reader.io.err(`zpsend: ${message}; retrying`);
    const outcome = await readSnapshot(reader.bus, side, { snapshot, raw }, signal, { onDigest, onBusy });
    if ('error' in outcome) otherFailed.abort();
    return outcome;
  };
  const [here, there] = await Promise.all([
    read(source, `${dataset.source}@${row.source.name}`),
    read(target, `${dataset.target}@${row.target.name}`),
  ]);
  // the side that failed first has the reason
  const targetFailedFirst = 'error' in here && here.error.code === 'ABORTED' && 'error' in there;
  return targetFailedFirst ? contentOf(row.source.guid, there, there) : contentOf(row.source.guid, here, there);
}
