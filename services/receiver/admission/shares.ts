import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { isWithin, parentOf } from '../../../schemas/names.ts';
import type { StaleNote } from '../../../schemas/stale.ts';

const kinds = ['sharenfs', 'sharesmb'] as const;

/** Datasets that are checked, topmost first: their names are one command line. */
const mostNames = 4000;

/**
 * Shares that replicas inherit. A receive mounts nothing, so they act at the next mount: each replica is shared then, or reports that
 * this failed (zrep#93). The topmost dataset of each share is noted.
 * @param places where sources may write, which need not exist
 */
export async function sharesOf(
  zfs: Pick<Zfs, 'properties'>,
  datasets: readonly DatasetEntry[],
  places: readonly string[],
): Promise<StaleNote[]> {
  const filesystems = datasets.filter(({ type }) => type === 'filesystem').map(({ name }) => name);
  const existing = new Set(filesystems);
  const roots = places.flatMap((place) => nearest(place, existing) ?? []);
  const names = filesystems.filter((name) => roots.includes(name) || places.some((place) => isWithin(name, place)));
  if (names.length === 0) return [];
  const values = await zfs.properties(names.slice(0, mostNames), [...kinds]);
  const isOn = (name: string | undefined, kind: string): boolean => {
    const value = values.get(name ?? '')?.[kind];
    return value !== undefined && value !== 'off' && value !== '-';
  };
  return [...values.keys()].flatMap((dataset) =>
    kinds
      .filter((kind) => isOn(dataset, kind) && !isOn(parentOf(dataset), kind))
      .map((kind) => noteOf(dataset, kind, values.get(dataset)?.[kind] ?? '')),
  );
}

function nearest(place: string, existing: ReadonlySet<string>): string | undefined {
  for (let at: string | undefined = place; at !== undefined; at = parentOf(at)) if (existing.has(at)) return at;
  return undefined;
}

const servers = { sharenfs: 'NFS', sharesmb: 'SMB' };

const noteOf = (dataset: string, kind: (typeof kinds)[number], value: string): StaleNote => ({
  about: 'share',
  dataset,
  found:
    `${dataset} has ${kind}=${value}, which the replicas there inherit: ` +
    `a mount shares each of them, or reports a failure where no ${servers[kind]} server runs`,
  remedy: `if they are not to be shared: zfs set ${kind}=off "${dataset}"`,
});
