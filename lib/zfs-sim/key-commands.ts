import { getopt } from './getopt.ts';
import { encryptionRoot, isOpen } from './keys.ts';
import { changePoolOf, findDataset, openDataset } from './lookup.ts';
import { isBelow, parentOf } from './names.ts';
import { Refusal } from './refusal.ts';
import type { Dataset, Pool } from './state.ts';

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

/** `zfs change-key -i`: the dataset takes its key from the one above; its clones, whose key is its own, with it. */
export function changeKey(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'iflo:', 'change-key -i [-l] <filesystem|volume>');
  for (const name of operands) {
    changePoolOf(name, (pool) => {
      const dataset = openDataset(pool, name);
      const above = findDataset(pool, parentOf(name) ?? '');
      const refuse = (why: string): Refusal => new Refusal(`Key change error: ${why}`, 255);
      if (!given.has('i')) throw refuse('the simulator knows only -i');
      if (dataset.origin !== undefined) throw refuse('Keys cannot be changed on clones.');
      if (encryptionRoot(pool, dataset) !== dataset) throw refuse('Dataset is not an encryption root.');
      if (above === undefined || encryptionRoot(pool, above) === undefined)
        throw refuse("Dataset's parent is not encrypted.");
      if (!isOpen(pool, dataset) || !isOpen(pool, above)) throw refuse('Key must be loaded.');
      delete dataset.keyLoaded;
      delete dataset.props.keyformat;
      delete dataset.props.keylocation;
    });
  }
}
