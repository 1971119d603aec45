import { originalNameOf } from '../../../lib/plan/match/rotated-name.ts';
import { peekToken } from '../../../lib/zfs/resume-token.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { DatasetEntry, SnapshotEntry } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { StaleMark, StaleNote } from '../../../schemas/stale.ts';
import type { Found } from '../../host/stale.ts';
import { sharesOf } from '../admission/shares.ts';
import { baseTag, heldIn, oldBases } from './last-received-hold.ts';

export interface StaleMarkDeps {
  readonly zfs: Pick<Zfs, 'list' | 'holds' | 'properties'>;
  /** Where sources may write. */
  readonly places: readonly string[];
  /** Of this process: 0 is root. */
  readonly uid: number;
  /** Datasets that a receive runs into, on any instance. */
  readonly beingReceived: () => Promise<ReadonlySet<string>>;
}

/** Interrupted receives that are listed. */
const mostPartial = 50;

/** The stale marks of receivers on this host, and notes for an administrator. */
export async function findStaleMarks(deps: StaleMarkDeps): Promise<Found> {
  const datasets = await deps.zfs.list({});
  const held = datasets.flatMap(heldIn);
  const holds = held.length === 0 ? [] : await deps.zfs.holds(held);
  const based = new Set(holds.filter(({ tag }) => tag === baseTag).map(({ snapshot }) => snapshot));
  const notes = [
    ...basesBehind(datasets, based),
    ...(await partials(deps, datasets)),
    ...(await delegated(deps)),
    ...(await sharesOf(deps.zfs, datasets, deps.places)),
  ];
  return { staleMarks: await provenStale(deps.zfs, datasets, based), notes };
}

/** A tag of one dataset may look like a hold of another one's snapshot, so each dataset with a stale hold is listed again alone. */
async function provenStale(
  zfs: Pick<Zfs, 'holds'>,
  datasets: readonly DatasetEntry[],
  based: ReadonlySet<string>,
): Promise<StaleMark[]> {
  const found = staleHolds(datasets, based);
  const names = new Set(
    found.flatMap((left) => (left.kind === 'last-received-hold' ? [left.snapshot, left.newer].map(datasetOf) : [])),
  );
  const proven = new Set<string>();
  for (const entry of datasets.filter(({ name }) => names.has(name))) {
    const holds = await zfs.holds(heldIn(entry));
    for (const { snapshot, tag } of holds)
      if (tag === baseTag && datasetOf(snapshot) === entry.name) proven.add(snapshot);
  }
  return found.length > 0 ? staleHolds(datasets, proven) : [];
}

/** Last-received holds that are superseded by a newer one, or by that of the dataset for which theirs was renamed. */
function staleHolds(datasets: readonly DatasetEntry[], based: ReadonlySet<string>): StaleMark[] {
  const baseOf = ({ name, snapshots }: DatasetEntry) => snapshots.findLast((one) => based.has(`${name}@${one.name}`));
  const bases = new Map(datasets.map((entry) => [entry.name, baseOf(entry)?.name]));
  const left = (name: string, { name: leaf, guid }: SnapshotEntry, newer: string): StaleMark => ({
    kind: 'last-received-hold',
    snapshot: `${name}@${leaf}`,
    guid,
    tag: baseTag,
    newer,
  });
  return datasets.flatMap((entry) => {
    const { name } = entry;
    const old = oldBases(entry, based).map(({ snapshot, newer }) => left(name, snapshot, `${name}@${newer.name}`));
    const [previousName, base] = [originalNameOf(name) ?? '', baseOf(entry)];
    const now = bases.get(previousName);
    return base && now !== undefined ? [...old, left(name, base, `${previousName}@${now}`)] : old;
  });
}

/** It may be the base that the source needs, since the newer snapshot may be a local one. So it is not released automatically. */
const basesBehind = (datasets: readonly DatasetEntry[], based: ReadonlySet<string>): StaleNote[] =>
  datasets.flatMap(({ name, snapshots }) => {
    const base = snapshots.findLast((snapshot) => based.has(`${name}@${snapshot.name}`));
    const newest = snapshots.at(-1);
    if (!base || !newest || base === newest) return [];
    return [
      {
        about: 'base',
        dataset: name,
        found: `${name}@${base.name} is held as the newest received snapshot, and @${newest.name} is newer`,
        remedy: `the next receive moves the hold; if there will be none: zfs release ${baseTag} "${name}@${base.name}"`,
      },
    ];
  });

async function partials({ beingReceived }: StaleMarkDeps, datasets: readonly DatasetEntry[]): Promise<StaleNote[]> {
  const interrupted = datasets.filter(({ resumeToken }) => resumeToken !== undefined);
  if (interrupted.length === 0) return [];
  const busy = await beingReceived();
  const notes: StaleNote[] = [];
  for (const { name, resumeToken = '' } of interrupted.filter(({ name }) => !busy.has(name)).slice(0, mostPartial)) {
    notes.push({
      about: 'partial',
      dataset: name,
      found: `${name} has partial state of an interrupted receive of ${peekToken(resumeToken)?.toname ?? 'an unknown snapshot'}`,
      remedy: `send it again to finish it (a stored stream is received again without that), or drop it: zfs receive -A "${name}"`,
    });
  }
  return notes;
}

/** A received program with the setuid bit, or a device, would be more than `zfs allow` gave this user (openzfs#12218). */
async function delegated({ zfs, places, uid }: StaleMarkDeps): Promise<StaleNote[]> {
  if (uid === 0 || places.length === 0) return [];
  const values = await zfs.properties([...new Set(places)], ['setuid', 'devices']);
  return [...values].flatMap(([dataset, { setuid, devices }]): StaleNote[] => {
    const on = [...(setuid === 'on' ? ['setuid'] : []), ...(devices === 'on' ? ['devices'] : [])];
    if (on.length === 0) return [];
    return [
      {
        about: 'delegated',
        dataset,
        found: `an ordinary user receives into ${dataset}, which has ${on.map((name) => `${name}=on`).join(', ')}`,
        remedy: `as root: zfs set ${on.map((name) => `${name}=off`).join(' ')} "${dataset}"`,
      },
    ];
  });
}

/** Releases the one hold. @throws ZpsendError what ZFS reports */
export async function repairStaleMark(zfs: Pick<Zfs, 'release'>, staleMark: StaleMark): Promise<void> {
  if (staleMark.kind !== 'last-received-hold' || staleMark.tag !== baseTag) {
    throw new ZpsendError('BAD_REQUEST', `a receiver does not repair a ${staleMark.kind}`);
  }
  await zfs.release(staleMark.tag, [staleMark.snapshot]);
}
