import { assignments, getopt } from './getopt.ts';
import { encryptionRoot, isEncrypted, isOpen, keyHolder, newWrapping, wrappingOf } from './keys.ts';
import { changePoolOf, findDataset, openDataset } from './lookup.ts';
import { isBelow, parentOf } from './names.ts';
import { Refusal } from './refusal.ts';
import type { Dataset, Pool, Wrapping } from './state.ts';

/** `zfs load-key`: any key opens. */
export const loadKey = (argv: readonly string[]): void => setKey(argv, 'load-key', true);

/** `zfs unload-key`. */
export const unloadKey = (argv: readonly string[]): void => setKey(argv, 'unload-key', false);

function setKey(argv: readonly string[], verb: string, loaded: boolean): void {
  const { given, operands } = getopt(argv, 'rnaL:', `${verb} [-r] <-a | filesystem|volume>`);
  for (const name of operands) {
    changePoolOf(name, (pool) => {
      const dataset = openDataset(pool, name);
      const all = given.has('r') ? pool.datasets.filter((each) => isBelow(each.name, name)) : [];
      const roots = all.filter((each) => encryptionRoot(pool, each) === each && each.keyLoaded !== loaded);
      if (encryptionRoot(pool, dataset) === dataset) roots.unshift(dataset);
      else if (!given.has('r')) throw new Refusal(`Key ${verb} error: Dataset not encrypted.`, 255);
      for (const root of roots) {
        if (!loaded && isInUse(pool, root) && root.keyLoaded)
          throw new Refusal(`Key unload error: '${root.name}' is busy.`, 255);
        root.keyLoaded = loaded;
      }
    });
  }
}

const isInUse = (pool: Pool, root: Dataset): boolean =>
  pool.datasets.some((each) => each.type === 'filesystem' && !each.unmounted && encryptionRoot(pool, each) === root);

/**
 * `zfs change-key`: sets a new key, which makes the dataset an encryption root; with `-i` it inherits the
 * key of its parent instead. Clones share their origin's key, and change with it.
 */
export function changeKey(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'iflo:', 'change-key [-i] [-l] [-o property=value] <filesystem|volume>');
  const wished = assignments(given.get('o') ?? [], 'change-key [-l] [-o property=value] <filesystem|volume>');
  for (const name of operands) {
    changePoolOf(name, (pool) => {
      const dataset = openDataset(pool, name);
      if (dataset.origin !== undefined) throw refuseKey('Keys cannot be changed on clones.');
      if (given.has('i')) inherit(pool, dataset);
      else changeOwn(pool, dataset, wished);
    });
  }
}

const refuseKey = (why: string): Refusal => new Refusal(`Key change error: ${why}`, 255);

function inherit(pool: Pool, dataset: Dataset): void {
  const above = findDataset(pool, parentOf(dataset.name) ?? '');
  if (encryptionRoot(pool, dataset) !== dataset) throw refuseKey('Dataset is not an encryption root.');
  const root = above && encryptionRoot(pool, above);
  if (root === undefined) throw refuseKey("Dataset's parent is not encrypted.");
  if (!isOpen(pool, dataset) || !isOpen(pool, root)) throw refuseKey('Key must be loaded.');
  const followers = openedBy(pool, dataset);
  delete dataset.keyLoaded;
  delete dataset.props.keyformat;
  delete dataset.props.keylocation;
  wrapAll(pool, followers, wrappingOf(pool, root));
}

function changeOwn(pool: Pool, dataset: Dataset, wished: ReadonlyMap<string, string>): void {
  if (!isEncrypted(dataset)) throw refuseKey('Dataset not encrypted.');
  if (!isOpen(pool, dataset)) throw refuseKey('Key must be loaded.');
  const isRoot = encryptionRoot(pool, dataset) === dataset;
  const keyformat = wished.get('keyformat') ?? (isRoot ? wrappingOf(pool, dataset)?.keyformat : undefined);
  if (keyformat === undefined) throw refuseKey('Keyformat required for new encryption root.');
  dataset.keyLoaded = true;
  dataset.props.keyformat = keyformat;
  const location = wished.get('keylocation');
  if (location !== undefined) dataset.props.keylocation = location;
  wrapAll(pool, openedBy(pool, dataset), newWrapping(keyformat, wished.get('pbkdf2iters')));
}

const openedBy = (pool: Pool, root: Dataset): Dataset[] =>
  pool.datasets.filter((each) => encryptionRoot(pool, each) === root);

function wrapAll(pool: Pool, datasets: readonly Dataset[], wrapping: Wrapping | undefined): void {
  for (const each of datasets) if (wrapping) keyHolder(pool, each).wrapping = wrapping;
}
