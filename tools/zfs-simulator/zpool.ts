import { statSync } from 'node:fs';
import { featuresAsked, featureValues } from './features.ts';
import { niceBytes, table } from './format.ts';
import { getopt } from './getopt.ts';
import { randomGuid } from './guid.ts';
import { now } from './new-dataset.ts';
import { complain, print } from './output.ts';
import { Refusal, usage } from './refusal.ts';
import { parseSize, poolUsed } from './space.ts';
import { createPool, type Pool, poolNames, readPool, removePool } from './state.ts';

const CREATE = 'create [-fnd] [-o property=value] ... <pool> <vdev> ...';
const LIST = 'list [-gHLpPv] [-o property[,...]] [pool] ...';
const DEFAULT_BYTES = 2 ** 40;

/** `zpool create POOL [VDEV]`: the vdev is a size (`64M`) or a file whose size is taken; without one, 1T. */
export function create(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'fndo:O:m:R:', CREATE);
  const [name, vdev] = operands;
  if (name === undefined) throw usage('missing pool name argument', CREATE);
  if (readPool(name) !== undefined) throw new Refusal(`cannot create '${name}': pool already exists`);
  if (!/^[A-Za-z][A-Za-z0-9\-_.: ]*$/.test(name))
    throw new Refusal(`cannot create '${name}': name must begin with a letter`);
  const features = featuresAsked(given.has('d'), given.get('o') ?? []);
  const pool: Pool = { name, guid: randomGuid(), size: vdevBytes(name, vdev), txg: 1, features, datasets: [] };
  const props = Object.fromEntries((given.get('O') ?? []).map((pair) => pair.split('=', 2)));
  pool.datasets.push({
    name,
    type: 'filesystem',
    guid: randomGuid(),
    txg: 1,
    time: now(),
    props,
    extents: [],
    snapshots: [],
    bookmarks: [],
  });
  createPool(pool);
}

function vdevBytes(name: string, vdev: string | undefined): number {
  if (vdev === undefined) return DEFAULT_BYTES;
  const size = parseSize(vdev);
  if (size !== undefined) return size;
  try {
    return statSync(vdev).size;
  } catch {
    throw new Refusal(
      `cannot open '${vdev}': no such device in /dev\ncannot create '${name}': no such pool or dataset`,
    );
  }
}

/** `zpool destroy POOL`. */
export function destroy(argv: readonly string[]): void {
  const [name] = getopt(argv, 'f', 'destroy [-f] <pool>').operands;
  if (name === undefined || readPool(name) === undefined) throw new Refusal(`cannot open '${name}': no such pool`);
  removePool(name);
}

const COLUMNS: Readonly<Record<string, (pool: Pool, exact: boolean) => string>> = {
  name: ({ name }) => name,
  size: ({ size }, exact) => (exact ? String(size) : niceBytes(size)),
  allocated: (pool, exact) => (exact ? String(poolUsed(pool)) : niceBytes(poolUsed(pool))),
  free: (pool, exact) => {
    const bytes = Math.max(0, pool.size - poolUsed(pool));
    return exact ? String(bytes) : niceBytes(bytes);
  },
  capacity: (pool, exact) => `${Math.floor((poolUsed(pool) / pool.size) * 100)}${exact ? '' : '%'}`,
  health: () => 'ONLINE',
  guid: ({ guid }) => guid,
  readonly: ({ readOnly }) => (readOnly ? 'on' : 'off'),
  fragmentation: (_pool, exact) => (exact ? '0' : '0%'),
  altroot: () => '-',
};
const ALIASES: Readonly<Record<string, string>> = { alloc: 'allocated', cap: 'capacity', frag: 'fragmentation' };

function columnsOf(words: string, synopsis: string): string[] {
  return words.split(',').map((word) => {
    const name = ALIASES[word] ?? word;
    if (!(name in COLUMNS)) throw usage(`bad property list: invalid property '${word}'`, synopsis);
    return name;
  });
}

function openPools(names: readonly string[]): { pools: Pool[]; exit: number } {
  let exit = 0;
  const pools = (names.length > 0 ? names : poolNames()).flatMap((name) => {
    const pool = readPool(name);
    if (pool !== undefined) return [pool];
    complain(`cannot open '${name}': no such pool\n`);
    exit = 1;
    return [];
  });
  return { pools, exit };
}

/** `zpool list`. */
export function list(argv: readonly string[]): number {
  const { given, operands } = getopt(argv, 'gHLpPvo:T:', LIST);
  const columns = columnsOf(
    given.get('o')?.at(-1) ?? 'name,size,allocated,free,fragmentation,capacity,health,altroot',
    LIST,
  );
  const { pools, exit } = openPools(operands);
  const rows = pools.map((pool) => columns.map((name) => COLUMNS[name]?.(pool, given.has('p')) ?? '-'));
  if (given.has('H')) print(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else if (rows.length > 0) {
    const title: Readonly<Record<string, string>> = { allocated: 'ALLOC', capacity: 'CAP', fragmentation: 'FRAG' };
    print(
      table(
        columns.map((name) => title[name] ?? name.toUpperCase()),
        rows,
        new Set([1, 2, 3, 4, 5]),
      ),
    );
  } else if (exit === 0) complain('no pools available\n');
  return exit;
}

/** `zpool get PROPERTY[,...] [POOL...]`. */
export function get(argv: readonly string[]): number {
  const synopsis = 'get [-Hp] [-o "all" | field[,...]] <"all" | property[,...]> <pool> ...';
  const { given, operands } = getopt(argv, 'Hpo:', synopsis);
  const [wanted, ...names] = operands;
  if (wanted === undefined) throw usage('missing property argument', synopsis);
  const { pools, exit } = openPools(names);
  const fields = (given.get('o')?.at(-1) ?? 'name,property,value,source').split(',');
  const columns = columnsOf(wanted === 'all' ? Object.keys(COLUMNS).slice(1).join(',') : wanted, synopsis);
  const rows = pools.flatMap((pool) => {
    const fixed = columns.map((name): [string, string] => [name, COLUMNS[name]?.(pool, given.has('p')) ?? '-']);
    return [...fixed, ...(wanted === 'all' ? featureValues(pool) : [])].map(([property, value]) => {
      const row: Readonly<Record<string, string>> = { name: pool.name, property, value, source: '-' };
      return fields.map((field) => row[field] ?? '-');
    });
  });
  print(
    given.has('H')
      ? rows.map((row) => `${row.join('\t')}\n`).join('')
      : table(
          fields.map((field) => field.toUpperCase()),
          rows,
          new Set(),
        ),
  );
  return exit;
}
