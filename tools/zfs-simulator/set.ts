import { isReadOnly, propertyName } from './columns.ts';
import { addExtent } from './content.ts';
import { getopt } from './getopt.ts';
import { changePoolOf, findDataset, findSnapshot, noSuch } from './lookup.ts';
import { isBelow, type Name } from './names.ts';
import { applies, effective, isUserProperty, storedValue } from './property-store.ts';
import { Refusal, usage } from './refusal.ts';
import { parseSize, room } from './space.ts';
import type { Dataset, Pool, Snapshot } from './state.ts';

const SET = 'set [-u] <property=value> ... <filesystem|volume|snapshot> ...';
const INHERIT = 'inherit [-rS] <property> <filesystem|volume|snapshot> ...';

/** Largest block that needs no feature of its pool, in bytes. */
const SMALL_BLOCK = 131_072;

/** Setting this adds bytes of new content, as writing a file does. */
const WRITE = 'zfs-sim:write';
/** Setting this on a snapshot corrupts its newest content. */
const DAMAGE = 'zfs-sim:damage';

/** `zfs set`. */
export function set(argv: readonly string[]): void {
  const { operands } = getopt(argv, 'u', SET);
  const pairs = operands.filter((word) => word.includes('='));
  const names = operands.filter((word) => !word.includes('='));
  if (pairs.length === 0) throw usage('missing property=value argument(s)', SET);
  if (names.length === 0) throw usage('missing dataset name(s)', SET);
  for (const full of names) {
    changePoolOf(full, (pool, name) => {
      const { dataset, snapshot } = target(pool, full, name);
      const refuse = (why: string): Refusal => new Refusal(`cannot set property for '${full}': ${why}`, 255);
      for (const pair of pairs) {
        const cut = pair.indexOf('=');
        assign(pool, dataset, snapshot, pair.slice(0, cut), pair.slice(cut + 1), refuse);
      }
    });
  }
}

function target(pool: Pool, full: string, name: Name): { dataset: Dataset; snapshot?: Snapshot } {
  const dataset = findDataset(pool, name.dataset);
  const snapshot = findSnapshot(dataset, name.snapshot);
  if (dataset === undefined || (name.snapshot !== undefined && snapshot === undefined)) throw noSuch(full);
  return { dataset, ...(snapshot ? { snapshot } : {}) };
}

function assign(
  pool: Pool,
  dataset: Dataset,
  snapshot: Snapshot | undefined,
  property: string,
  value: string,
  refuse: (why: string) => Refusal,
): void {
  if (property === WRITE && snapshot === undefined) {
    write(pool, dataset, value, refuse);
    return;
  }
  if (property === DAMAGE && snapshot !== undefined) {
    damage(dataset, snapshot, refuse);
    return;
  }
  const name = propertyName(property);
  if (name === undefined) throw refuse(`invalid property '${property}'`);
  if (isReadOnly(name)) throw refuse(`'${name}' is readonly`);
  const stored = storedValue(name, value, refuse);
  if (snapshot !== undefined) {
    if (!isUserProperty(name)) throw refuse('this property can not be modified for snapshots');
    snapshot.props = { ...snapshot.props, [name]: stored };
    return;
  }
  if (!applies(name, dataset.type)) throw refuse(`'${name}' does not apply to datasets of this type`);
  dataset.props[name] = stored;
  delete dataset.props[`.received ${name}`];
}

function write(pool: Pool, dataset: Dataset, value: string, refuse: (why: string) => Refusal): void {
  const size = parseSize(value);
  if (size === undefined || size === 0) throw refuse(`bad numeric value '${value}'`);
  if (size > room(pool, dataset.name).bytes) throw refuse('out of space');
  addExtent(dataset, size);
  if (Number(effective(pool, dataset, 'recordsize')?.value) > SMALL_BLOCK) dataset.large = true;
  pool.txg += 1;
}

function damage(dataset: Dataset, snapshot: Snapshot, refuse: (why: string) => Refusal): void {
  const at = snapshot.extents * 2 - 1;
  const seed = dataset.extents[at];
  if (seed === undefined) throw refuse('it holds nothing');
  dataset.extents[at] = (seed ^ 1) >>> 0;
}

/** `zfs inherit`. */
export function inherit(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'rS', INHERIT);
  const [property, ...names] = operands;
  if (property === undefined) throw usage('missing property argument', INHERIT);
  if (names.length === 0) throw usage('missing dataset argument', INHERIT);
  const name = propertyName(property);
  if (name === undefined) throw usage(`invalid property '${property}'`, INHERIT);
  if (isReadOnly(name)) throw usage(`${name} property is read-only`, INHERIT);
  for (const full of names) {
    changePoolOf(full, (pool, parsed) => {
      const { dataset, snapshot } = target(pool, full, parsed);
      if (snapshot?.props !== undefined) delete snapshot.props[name];
      if (snapshot !== undefined) return;
      for (const each of pool.datasets) {
        if (each !== dataset && !(given.has('r') && isBelow(each.name, dataset.name))) continue;
        delete each.props[name];
        delete each.props[`.received ${name}`];
      }
    });
  }
}
