import { parseStoredName } from '../../lib/bus/subjects.ts';
import { holdsOn } from '../support/expected-state.ts';
import type { Host } from '../support/hosts.ts';
import { listed } from '../support/listing.ts';
import { locksLeft } from '../support/locks-left.ts';
import { retry } from '../support/retry.ts';
import { streamsOf } from '../support/streams.ts';
import type { Bookmark, Left } from './model.ts';
import { lockSeconds, type World } from './world.ts';

/** All that a round may leave behind. */
export async function leftIn(world: World): Promise<Left> {
  const { source, targets } = world;
  const holds = targets.map(async (host): Promise<[string, string[]]> => [host.name, await holdsOn(host)]);
  return {
    locks: await locksLeft(world.bus, lockSeconds),
    stored: await storedIn(world),
    sourceHolds: await holdsOn(source),
    targetHolds: new Map(await Promise.all(holds)),
    bookmarks: await bookmarksOn(source),
  };
}

async function storedIn({ bus, source }: World): Promise<string[]> {
  return retry(async () => {
    const bucket = await streamsOf(bus, source.name);
    if ((await bucket.mark()) === undefined) return [];
    return [...new Set([...(await bucket.names()), ...(await bucket.withChunks())])].filter(
      (name) => parseStoredName(name)?.kind !== 'known',
    );
  });
}

async function bookmarksOn(host: Host): Promise<Bookmark[]> {
  const rows = await host.zfs('list', '-Hp', '-r', '-t', 'bookmark', '-o', 'name,guid', host.pool);
  return rows
    .split('\n')
    .map((row) => row.split('\t'))
    .flatMap(([name = '', guid = '']) => (name === '' ? [] : [{ name, guid }]));
}

/** What each target has, the pool's own dataset too. */
export const listingsOf = async ({ targets }: World) =>
  Promise.all(targets.map(async (host) => ({ name: host.name, listing: await listed(host, host.pool) })));
