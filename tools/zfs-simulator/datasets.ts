import { assignments, getopt } from './getopt.ts';
import { encryptionRoot, isEncrypted, isOpen, newWrapping, wrappingOf } from './keys.ts';
import { changePoolOf, findDataset, openSnapshot } from './lookup.ts';
import { isTooDeep, nameFault, parentOf, poolOf } from './names.ts';
import { newDataset } from './new-dataset.ts';
import { applies, storedValue } from './property-store.ts';
import { Refusal, usage } from './refusal.ts';
import { parseSize } from './space.ts';
import { changePool, type Dataset, type Pool } from './state.ts';

const CREATE = `create [-Pnpuv] [-o property=value] ... <filesystem>
\tcreate [-Pnpsv] [-b blocksize] [-o property=value] ... -V <size> <volume>`;
const CLONE = 'clone [-p] [-o property=value] ... <snapshot> <filesystem|volume>';

/** `zfs create`. */
export function create(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'PnpsuvV:b:o:', CREATE);
  const [name, ...more] = operands;
  if (name === undefined)
    throw usage(given.has('V') ? 'missing volume name argument' : 'missing filesystem argument', CREATE);
  if (more.length > 0) throw usage('too many arguments', CREATE);
  const props = assignments(given.get('o') ?? [], CREATE);
  const volume = given.get('V')?.[0];
  const size = volume === undefined ? undefined : parseSize(volume);
  if (volume !== undefined && size === undefined)
    throw usage(`bad volume size '${volume}': bad numeric value '${volume}'`, CREATE);
  if (nameFault(name) === undefined && isTooDeep(name))
    throw new Refusal(`cannot create '${name}': maximum name nesting depth exceeded`);
  changeForNew(name, `cannot create '${name}'`, given.has('p'), (pool) => {
    const dataset = newDataset(pool, name, volume === undefined ? 'filesystem' : 'volume');
    if (size !== undefined) dataset.props.volsize = String(size);
    encryptAs(pool, dataset, findDataset(pool, parentOf(name) ?? ''));
    setAtCreation(dataset, props);
    if (given.has('u')) dataset.unmounted = true;
  });
}

/** A new dataset inherits its encryption from its parent, a clone from its origin. */
function encryptAs(pool: Pool, dataset: Dataset, model: Dataset | undefined): void {
  if (model === undefined || !isEncrypted(model)) return;
  if (!isOpen(pool, model))
    throw new Refusal(`cannot create '${dataset.name}': encryption root's key is not loaded or provided`);
  dataset.props.encryption = model.props.encryption ?? 'off';
  const root = encryptionRoot(pool, model);
  const wrapping = root && wrappingOf(pool, root);
  if (dataset.origin === undefined && wrapping) dataset.wrapping = wrapping;
}

function setAtCreation(dataset: Dataset, props: ReadonlyMap<string, string>): void {
  const refuse = (why: string): Refusal => new Refusal(`cannot create '${dataset.name}': ${why}`);
  for (const [property, value] of props) {
    const stored = storedValue(property, value, refuse);
    if (!applies(property, dataset.type)) throw refuse(`'${property}' does not apply to datasets of this type`);
    dataset.props[property] = stored;
  }
  const { keyformat, pbkdf2iters } = dataset.props;
  if (keyformat !== undefined) {
    dataset.keyLoaded = true;
    dataset.wrapping = newWrapping(keyformat, pbkdf2iters);
  }
  if (dataset.type === 'filesystem' && (dataset.props.canmount ?? 'on') !== 'on') dataset.unmounted = true;
}

/** `zfs clone`. */
export function clone(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'po:u', CLONE);
  const [source, name, ...more] = operands;
  if (source === undefined) throw usage('missing source dataset argument', CLONE);
  if (name === undefined) throw usage('missing target dataset argument', CLONE);
  if (more.length > 0) throw usage('too many arguments', CLONE);
  const props = assignments(given.get('o') ?? [], CLONE);
  // ZFS opens the source first
  changePoolOf(source, (pool) => openSnapshot(pool, source));
  const prefix = `cannot create '${name}'`;
  if (poolOf(name) !== poolOf(source)) throw new Refusal(`${prefix}: source and target pools differ`);
  changeForNew(name, prefix, given.has('p'), (pool) => {
    const origin = openSnapshot(pool, source);
    const dataset = newDataset(pool, name, origin.dataset.type);
    dataset.origin = source;
    dataset.extents = origin.dataset.extents.slice(0, origin.snapshot.extents * 2);
    if (origin.dataset.props.volsize !== undefined) dataset.props.volsize = origin.dataset.props.volsize;
    encryptAs(pool, dataset, origin.dataset);
    setAtCreation(dataset, props);
    dataset.props['.shared'] = String(origin.snapshot.extents);
  });
}

/** Changes the pool of a new dataset, after the checks that all commands share. */
function changeForNew(name: string, prefix: string, withParents: boolean, change: (pool: Pool) => void): void {
  const fault = /[/@#]/.test(name) ? nameFault(name) : (nameFault(name) ?? 'missing dataset name');
  if (fault !== undefined) throw new Refusal(`${prefix}: ${fault}`);
  if (/[@#]/.test(name)) throw new Refusal(`${prefix}: snapshot delimiter '@' is not expected here`);
  changePool(
    poolOf(name),
    (pool) => {
      if (findDataset(pool, name) !== undefined && withParents) return;
      if (findDataset(pool, name) !== undefined) throw new Refusal(`${prefix}: dataset already exists`);
      const parent = parentOf(name) ?? '';
      if (withParents) makeParents(pool, parent);
      const above = findDataset(pool, parent);
      if (above === undefined) throw new Refusal(`${prefix}: parent does not exist`);
      if (above.type === 'volume') throw new Refusal(`${prefix}: parent is not a filesystem`);
      change(pool);
    },
    () => new Refusal(`${prefix}: no such pool '${poolOf(name)}'`),
  );
}

/** Creates a dataset and its missing ancestors. */
export function makeParents(pool: Pool, name: string): void {
  if (name === '' || findDataset(pool, name) !== undefined) return;
  makeParents(pool, parentOf(name) ?? '');
  newDataset(pool, name, 'filesystem');
}
