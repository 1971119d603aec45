import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { storedName } from '../../../lib/bus/subjects.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, parentOf } from '../../../schemas/names.ts';
import { type LastKnownTarget, lastKnownTargetSchema, type StoredStart } from '../../../schemas/stored.ts';

/** Where a request goes: a dataset, or the root of a package, on a host. */
export interface Place {
  readonly host: string;
  readonly root: string;
}

const mostBytes = 256 * 1024 * 1024;

const nameOf = ({ host, root }: Place): string => storedName({ kind: 'known', target: host, dataset: root });

/** What is remembered of a place; undefined where nothing is, or nothing that can be read. */
export async function readKnownTarget(bucket: StreamsBucket, place: Place): Promise<LastKnownTarget | undefined> {
  const got = await bucket.get(nameOf(place), mostBytes).catch((thrown) => {
    if (ZpsendError.from(thrown).code !== 'STREAM_BROKEN') throw thrown;
    return undefined;
  });
  if (!got) return undefined;
  try {
    return lastKnownTargetSchema.safeParse(JSON.parse(got.bytes.toString())).data;
  } catch {
    return undefined;
  }
}

export async function writeKnownTarget(bucket: StreamsBucket, place: Place, lastKnown: LastKnownTarget): Promise<void> {
  const text = JSON.stringify(lastKnown);
  await bucket.put(nameOf(place), Buffer.from(text), `what ${place.root} on ${place.host} had when it was seen last`);
}

/** Had the place, as far as is remembered, what a stream builds on? */
export const hadBase = ({ target }: LastKnownTarget, { from, origin, dataset }: StoredStart): boolean => {
  const base = origin === undefined ? (from ? dataset : parentOf(dataset)) : datasetOf(origin);
  const there = target.datasets.find(({ name }) => name === base);
  return there !== undefined && (!from || there.snapshots.some(({ guid }) => guid === from.guid));
};
