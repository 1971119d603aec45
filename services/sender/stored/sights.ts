import type { StreamsBucket } from '../../../lib/bus/store/bucket.ts';
import { storedName } from '../../../lib/bus/subjects.ts';
import { type Sight, sightSchema } from '../../../schemas/stored.ts';

/** Where a request goes: a dataset, or the root of a package, on a host. */
export interface Place {
  readonly host: string;
  readonly root: string;
}

const mostBytes = 256 * 1024 * 1024;

const nameOf = ({ host, root }: Place): string => storedName({ kind: 'sight', target: host, dataset: root });

/** What is remembered of a place; undefined where nothing is, or nothing that can be read. */
export async function readSight(bucket: StreamsBucket, place: Place): Promise<Sight | undefined> {
  const got = await bucket.get(nameOf(place), mostBytes);
  if (!got) return undefined;
  try {
    return sightSchema.safeParse(JSON.parse(got.bytes.toString())).data;
  } catch {
    return undefined;
  }
}

export async function writeSight(bucket: StreamsBucket, place: Place, sight: Sight): Promise<void> {
  const text = JSON.stringify(sight);
  await bucket.put(nameOf(place), Buffer.from(text), `what ${place.root} on ${place.host} had when it was seen last`);
}
