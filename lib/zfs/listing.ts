import { ZpsendError } from '../../schemas/errors.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import { snapshotSchema } from '../../schemas/names.ts';
import {
  type Column,
  creationColumn,
  holdsArgv,
  inspectArgv,
  lagColumns,
  listArgv,
  listEachArgv,
  optionalColumns,
  ownProperties,
  ownPropertiesArgv,
  propertiesArgv,
  requiredColumns,
  writtenSinceArgv,
} from './argv.ts';
import { batches, type Commands } from './commands.ts';
import { onlyMissing, unknownColumn } from './errors.ts';
import { joinRoots, rootsOutside } from './key-columns.ts';
import {
  type InspectedName,
  joinOrigins,
  type OwnValues,
  parseBytes,
  parseHolds,
  parseInspected,
  parseListing,
} from './parse.ts';
import { parseProperties } from './rows.ts';
import { runQuery, type ZfsEnvironment } from './run.ts';

/** One dataset, with its descendants when recursive; without a name all of them. */
interface ListedDatasets {
  readonly dataset?: string;
  readonly recursive?: boolean;
}

/** Reads datasets, snapshots, bookmarks, holds and properties. */
export interface Listing {
  /**
   * Datasets by name, each with its snapshots and bookmarks by createtxg, from one `zfs list`. Without `dataset`, all of them;
   * `recursive` adds descendants; `creation` adds the times of snapshots and bookmarks. Origins and encryption roots outside the
   * listing take one more `zfs list` each.
   */
  list(what: ListedDatasets & { creation?: boolean }): Promise<DatasetEntry[]>;
  /**
   * Those of the datasets that exist, each with the guids, times and written bytes of its snapshots and bookmarks, by createtxg.
   * One `zfs list`, without encryption, origins, holds and resume tokens.
   */
  listEach(datasets: readonly string[]): Promise<DatasetEntry[]>;
  /** Those of the named datasets, snapshots (`pool/a@x`) and bookmarks (`pool/a#b`) that exist, from one process. */
  inspect(names: string[]): Promise<InspectedName[]>;
  /** The holds of those of the snapshots that exist. */
  holds(snapshots: string[]): Promise<{ snapshot: string; tag: string }[]>;
  /** Properties of those of the datasets that exist, as `zfs get -p` shows them, by the dataset's name. */
  properties(datasets: string[], properties: string[]): Promise<Map<string, Record<string, string>>>;
  /** Bytes written to its dataset since the snapshot. @throws ZpsendError NO_SUCH_SNAPSHOT */
  writtenSince(snapshot: string): Promise<number>;
}

/** Adds the command and the host to the error of a parser. */
function trustedOn<Value>(host: string, doing: string, read: () => Value): Value {
  try {
    return read();
  } catch (thrown) {
    const { code, message, details } = ZpsendError.from(thrown);
    throw new ZpsendError(code, `${doing} on ${host}: ${message}`, details);
  }
}

/** Runs listings; leaves out columns that this release does not know, in later listings too. */
function columnQueries(zfsEnvironment: ZfsEnvironment) {
  const unknown = new Set<string>();
  return async (argv: (columns: Column[]) => string[], doing: string, more: readonly Column[] = []) => {
    for (;;) {
      const columns = [...requiredColumns, ...optionalColumns.filter((column) => !unknown.has(column)), ...more];
      const outcome = await runQuery(zfsEnvironment, 'zfs', argv(columns), doing);
      const refused = outcome.ok
        ? undefined
        : optionalColumns.find((column) => column === unknownColumn(outcome.stderr));
      if (refused === undefined || unknown.has(refused)) return { columns, outcome };
      unknown.add(refused);
    }
  };
}

async function readOwnValues(commands: Commands, what: ListedDatasets, doing: string): Promise<OwnValues> {
  const argv = ownPropertiesArgv(what);
  const tolerated = what.dataset === undefined ? onlyMissing : undefined;
  const { stdout } = await commands.runWithTimeout(argv, `${doing}: reading zpsend's properties`, tolerated);
  const expected = what.recursive || what.dataset === undefined ? what.dataset : new Set([what.dataset]);
  return trustedOn(commands.zfsEnvironment.host, doing, () => parseProperties(stdout, ownProperties, expected));
}

/** Adds what the datasets refer to outside the listing: guids of origins, and the wrapping of encryption roots. */
async function joinOutside(datasets: readonly DatasetEntry[], inspect: Listing['inspect']): Promise<void> {
  const outside = joinOrigins(datasets, new Map()).filter((name) => snapshotSchema.safeParse(name).success);
  if (outside.length > 0)
    joinOrigins(datasets, new Map((await inspect(outside)).map(({ name, guid }) => [name, guid])));
  const roots = rootsOutside(datasets);
  if (roots.length > 0) joinRoots(datasets, await inspect(roots));
}

export function listing(commands: Commands): Listing {
  const { zfsEnvironment, failed, runWithTimeout } = commands;
  const withColumns = columnQueries(zfsEnvironment);
  const trusted = <Value>(doing: string, read: () => Value): Value => trustedOn(zfsEnvironment.host, doing, read);

  async function inspect(names: string[]): Promise<InspectedName[]> {
    const inspected: InspectedName[] = [];
    for (const some of batches(names)) {
      const doing = `inspecting ${some.length === 1 ? some[0] : `${some.length} names`}`;
      const { columns, outcome } = await withColumns((columns) => inspectArgv(some, columns), doing);
      if (!outcome.ok && !onlyMissing(outcome.stderr)) throw failed(outcome, doing);
      inspected.push(...trusted(doing, () => parseInspected(outcome.stdout, columns, new Set(some))));
    }
    return inspected;
  }

  return {
    inspect,

    async list(what) {
      const doing = `listing ${what.dataset ?? 'all datasets'}`;
      const more = what.creation ? ([creationColumn] as const) : [];
      const { columns, outcome } = await withColumns((columns) => listArgv(what, columns), doing, more);
      // a host without pools has an empty listing
      if (!outcome.ok && !(what.dataset === undefined && onlyMissing(outcome.stderr))) throw failed(outcome, doing);
      // after the listing: a rollback is recorded before it destroys snapshots, so a snapshot missing above has its record here
      const own = await readOwnValues(commands, what, doing);
      const only = what.recursive ? undefined : what.dataset;
      const rows = { stdout: outcome.stdout, columns, expected: what.dataset, only };
      const datasets = trusted(doing, () => parseListing(rows, own));
      await joinOutside(datasets, inspect);
      return datasets;
    },

    async listEach(names) {
      const listed: DatasetEntry[] = [];
      for (const some of batches(names)) {
        const doing = `listing ${some.length} datasets`;
        const { stdout } = await runWithTimeout(listEachArgv(some), doing, onlyMissing);
        const wanted = new Set(some);
        const entries = trusted(doing, () => parseListing({ stdout, columns: lagColumns, expected: undefined }));
        listed.push(...entries.filter(({ name }) => wanted.has(name)));
      }
      return listed;
    },

    async holds(snapshots) {
      const holds: { snapshot: string; tag: string }[] = [];
      for (const some of batches(snapshots)) {
        const { stdout } = await runWithTimeout(holdsArgv(some), 'listing holds', onlyMissing);
        holds.push(...trusted('listing holds', () => parseHolds(stdout, new Set(some))));
      }
      return holds;
    },

    async writtenSince(snapshot) {
      const { stdout } = await runWithTimeout(writtenSinceArgv(snapshot), `reading bytes written since ${snapshot}`);
      const bytes = parseBytes(stdout);
      if (bytes !== undefined) return bytes;
      throw new ZpsendError('NO_SUCH_SNAPSHOT', `${snapshot} on ${zfsEnvironment.host} does not exist`, { snapshot });
    },

    async properties(datasets, properties) {
      const doing = `reading ${properties.join(', ')}`;
      const { stdout } = await runWithTimeout(propertiesArgv(datasets, properties), doing, onlyMissing);
      return trusted(doing, () => parseProperties(stdout, properties, new Set(datasets)));
    },
  };
}
