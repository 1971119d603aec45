import { getopt } from './getopt.ts';
import { Refusal, usage } from './refusal.ts';
import { exportPool, importPool, readPool } from './state.ts';

const EXPORT = 'export [-af] <pool> ...';
const IMPORT = 'import [-o property=value] ... [-d dir] [-fN] <pool>';

/** `zpool export POOL` */
export function exportOne(argv: readonly string[]): void {
  const [name] = getopt(argv, 'af', EXPORT).operands;
  if (name === undefined) throw usage('missing pool argument', EXPORT);
  if (readPool(name) === undefined) throw new Refusal(`cannot open '${name}': no such pool`);
  exportPool(name);
}

/** `zpool import [-o readonly=on] POOL`, of a pool that was exported here. */
export function importOne(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'fNo:d:', IMPORT);
  const [name] = operands;
  if (name === undefined) throw usage('missing pool argument', IMPORT);
  if (readPool(name) !== undefined) throw new Refusal(`cannot import '${name}': a pool with that name already exists`);
  if (importPool(name, given.get('o')?.includes('readonly=on') ?? false)) return;
  throw new Refusal(`cannot import '${name}': no such pool available`);
}
