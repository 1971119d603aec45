import type { Host } from './hosts.ts';
import { type Listing, listed } from './listing.ts';

/** What is known of every snapshot that ever was on the source: its content, by guid. */
export interface ExpectedState {
  /** Learns the content of snapshots that are new on the source. */
  learn(source: Listing): Promise<void>;
  /** Complaints about what the target holds: content that is not what the source had under that guid. */
  wrong(target: Listing): Promise<string[]>;
}

export function openExpectedState(source: Host, target: Host): ExpectedState {
  const digests = new Map<string, string>();
  /** Names on the target that were found right; a snapshot never changes. */
  const right = new Set<string>();
  return {
    async learn({ snapshots }) {
      for (const { name, guid } of snapshots) {
        if (digests.has(guid)) continue;
        const digest = await source.digest(name);
        if (digest !== undefined) digests.set(guid, digest);
      }
    },
    async wrong({ snapshots }) {
      const complaints: string[] = [];
      for (const { name, guid } of snapshots) {
        const expected = digests.get(guid);
        if (expected === undefined || right.has(guid)) continue;
        const digest = await target.digest(name);
        if (digest !== undefined && digest !== expected)
          complaints.push(`${name} (${guid}) has other content than it had`);
        else right.add(guid);
      }
      return complaints;
    },
  };
}

/** Snapshots that the target had and has no more, by guid: the names that they had. */
export function lost(before: Listing, after: Listing): Map<string, string> {
  const there = new Set(after.snapshots.map(({ guid }) => guid));
  return new Map(before.snapshots.filter(({ guid }) => !there.has(guid)).map(({ guid, name }) => [guid, name]));
}

/** Tags of zpsend on snapshots of a host, as `snapshot tag`. */
export async function holdsOn(host: Host): Promise<string[]> {
  const { snapshots } = await listed(host, host.pool);
  if (snapshots.length === 0) return [];
  const rows = await host.zfs('holds', '-H', ...snapshots.map(({ name }) => name));
  return rows
    .split('\n')
    .map((row) => row.split('\t'))
    .flatMap(([name, tag]) => (name && tag?.startsWith('zpsend:') ? [`${name} ${tag}`] : []));
}
