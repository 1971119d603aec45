import type { Host } from '../support/hosts.ts';
import { listed, snapshotsOf } from '../support/listing.ts';
import type { Random } from '../support/random.ts';

/** Around how many datasets the tree has. */
const wanted = 10;

/** The tree that a soak begins with: ten datasets, two of them encrypted, one a volume. */
export async function plantTree(host: Host, root: string, keyFile: string): Promise<void> {
  const key = ['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=file://${keyFile}`];
  await host.zfs('create', root);
  for (const name of ['a', 'a/1', 'a/2', 'b', 'b/1', 'c']) await host.zfs('create', `${root}/${name}`);
  await host.zfs('create', '-V', '8M', `${root}/vol`);
  await host.zfs('create', ...key, `${root}/secret`);
  await host.zfs('create', `${root}/secret/kid`);
  await host.zfs('snapshot', '-r', `${root}@begin`);
}

/** What happens to a source between two rounds. Gives the commands that ZFS carried out. */
export async function liveOn(host: Host, root: string, random: Random, round: number): Promise<string[]> {
  const done: string[] = [];
  const count = 2 + random.below(4);
  for (let at = 0; at < count; at++) {
    const argv = await anyMove(host, root, random, `${round}-${at}`);
    if (argv && (await host.attempt(...argv))) done.push(argv.join(' '));
  }
  // so that there is something to send
  const all = ['snapshot', '-r', `${root}@round${round}`];
  if (await host.attempt(...all)) done.push(all.join(' '));
  return done;
}

/**
 * Promotes back what is a clone of something inside it, since a target that has nothing yet cannot take that, and a package
 * with it is refused as a whole.
 */
export async function untangle(host: Host, root: string): Promise<void> {
  const { datasets } = await listed(host, root);
  for (const name of datasets) {
    const origin = await host.zfs('get', '-Hp', '-o', 'value', 'origin', name).catch(() => '-');
    if (origin.startsWith(`${name}/`)) await host.attempt('promote', name);
  }
}

async function anyMove(host: Host, root: string, random: Random, mark: string): Promise<string[] | undefined> {
  const now = await listed(host, root);
  const below = now.datasets.filter((name) => name !== root);
  const dataset = random.pick(now.datasets) ?? root;
  const child = random.pick(below);
  const snapshot = random.pick(now.snapshots);
  const isCrowded = now.datasets.length > wanted + 4;
  const moves: readonly (readonly [number, () => string[] | undefined | Promise<string[] | undefined>])[] = [
    [5, () => write(host, dataset, random)],
    [6, () => ['snapshot', `${dataset}@s${mark}`]],
    [3, () => ['snapshot', '-r', `${dataset}@r${mark}`]],
    [4, () => (snapshot ? ['destroy', snapshot.name] : undefined)],
    [1, () => (snapshot ? ['rename', snapshot.name, `${snapshot.dataset}@n${mark}`] : undefined)],
    [2, () => ['rollback', '-r', random.pick(snapshotsOf(now, dataset))?.name ?? root]],
    [isCrowded ? 0 : 2, () => (snapshot ? ['clone', snapshot.name, `${root}/clone${mark}`] : undefined)],
    [2, () => (child ? ['promote', child] : undefined)],
    [isCrowded ? 0 : 1, () => ['create', `${root}/new${mark}`]],
    [1, () => (child ? ['rename', child, `${root}/moved${mark}`] : undefined)],
    [now.datasets.length > wanted ? 2 : 0, () => (child ? ['destroy', '-r', child] : undefined)],
  ];
  let at = random.below(moves.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, make] of moves) {
    if (at < weight) return make();
    at -= weight;
  }
  return undefined;
}

async function write(host: Host, dataset: string, random: Random): Promise<undefined> {
  // a volume, or a key that is not there: nothing is written then
  await host.write(dataset, 1000 + random.below(300_000)).catch(() => undefined);
}

/** What an administrator may do on a target behind zpsend's back; undefined most of the time. */
export async function meddle(host: Host, root: string, random: Random, round: number): Promise<string | undefined> {
  if (!random.chance(0.3)) return undefined;
  const now = await listed(host, root);
  const dataset = random.pick(now.datasets);
  const snapshot = random.pick(now.snapshots);
  if (dataset === undefined || snapshot === undefined) return undefined;
  const argv = random.chance(0.6) ? ['snapshot', `${dataset}@theirs${round}`] : ['destroy', snapshot.name];
  return (await host.attempt(...argv)) ? argv.join(' ') : undefined;
}
