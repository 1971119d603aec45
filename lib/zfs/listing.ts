import { ZpsendError } from '../../schemas/errors.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import { snapshotSchema } from '../../schemas/names.ts';
import {
  type Column,
  creationColumn,
  holdsArgv,
  lagColumns,
  listArgv,
  listEachArgv,
  lookArgv,
  optionalColumns,
  propertiesArgv,
  requiredColumns,
  writtenSinceArgv,
} from './argv.ts';
import { batches, type Commands } from './commands.ts';
import { onlyMissing, unknownColumn } from './errors.ts';
import { joinRoots, rootsOutside } from './key-columns.ts';
import { joinOrigins, parseBytes, parseHolds, parseListing, parseProperties, parseSeen, type Seen } from './parse.ts';
import { runBriefly } from './run.ts';
import type { Zfs } from './zfs.ts';

/** What is there. */
export function listing(
  commands: Commands,
): Pick<Zfs, 'list' | 'listEach' | 'look' | 'holds' | 'properties' | 'writtenSince'> {
  const { rim, failed, briefly } = commands;
  const unknown = new Set<string>();

  /** Runs a listing; a column that this release does not know is left out, now and from then on. */
  async function withColumns(argv: (columns: Column[]) => string[], doing: string, more: readonly Column[] = []) {
    for (;;) {
      const columns = [...requiredColumns, ...optionalColumns.filter((column) => !unknown.has(column)), ...more];
      const outcome = await runBriefly(rim, 'zfs', argv(columns), doing);
      const refused = outcome.ok
        ? undefined
        : optionalColumns.find((column) => column === unknownColumn(outcome.stderr));
      if (refused === undefined || unknown.has(refused)) return { columns, outcome };
      unknown.add(refused);
    }
  }

  async function look(names: string[]): Promise<Seen[]> {
    const seen: Seen[] = [];
    for (const some of batches(names)) {
      const doing = `looking at ${some.length === 1 ? some[0] : `${some.length} names`}`;
      const { columns, outcome } = await withColumns((columns) => lookArgv(some, columns), doing);
      if (!outcome.ok && !onlyMissing(outcome.stderr)) throw failed(outcome, doing);
      seen.push(...parseSeen(outcome.stdout, columns));
    }
    return seen;
  }

  return {
    look,

    async list(what) {
      const doing = `listing ${what.dataset ?? 'all datasets'}`;
      const more = what.creation ? ([creationColumn] as const) : [];
      const { columns, outcome } = await withColumns((columns) => listArgv(what, columns), doing, more);
      // without a single pool there is nothing to list
      if (!outcome.ok && !(what.dataset === undefined && onlyMissing(outcome.stderr))) throw failed(outcome, doing);
      const datasets = parseListing(outcome.stdout, columns, what.recursive ? undefined : what.dataset);
      const outside = joinOrigins(datasets, new Map()).filter((name) => snapshotSchema.safeParse(name).success);
      if (outside.length > 0)
        joinOrigins(datasets, new Map((await look(outside)).map((seen) => [seen.name, seen.guid])));
      const roots = rootsOutside(datasets);
      if (roots.length > 0) joinRoots(datasets, await look(roots));
      return datasets;
    },

    async listEach(names) {
      const listed: DatasetEntry[] = [];
      for (const some of batches(names)) {
        const { stdout } = await briefly(listEachArgv(some), `listing ${some.length} datasets`, onlyMissing);
        const asked = new Set(some);
        listed.push(...parseListing(stdout, lagColumns).filter(({ name }) => asked.has(name)));
      }
      return listed;
    },

    async holds(snapshots) {
      const holds: { snapshot: string; tag: string }[] = [];
      for (const some of batches(snapshots)) {
        const { stdout } = await briefly(holdsArgv(some), 'listing holds', onlyMissing);
        holds.push(...parseHolds(stdout));
      }
      return holds;
    },

    async writtenSince(snapshot) {
      const { stdout } = await briefly(writtenSinceArgv(snapshot), `reading what was written since ${snapshot}`);
      const bytes = parseBytes(stdout);
      if (bytes !== undefined) return bytes;
      throw new ZpsendError('NO_SUCH_SNAPSHOT', `${snapshot} on ${rim.host} is gone`, { snapshot });
    },

    async properties(datasets, properties) {
      const doing = `reading ${properties.join(', ')}`;
      const { stdout } = await briefly(propertiesArgv(datasets, properties), doing, onlyMissing);
      return parseProperties(stdout);
    },
  };
}
