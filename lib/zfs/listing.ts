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
import { runQuery } from './run.ts';

/** What is there: datasets, snapshots, bookmarks, holds and properties. */
export interface Listing {
  /**
   * One `zfs list` for everything asked: datasets by name, each with its snapshots and bookmarks by createtxg. Without
   * `dataset` everything; `recursive` adds descendants. Where origins or encryption roots lie outside, a look each finds them. `creation`
   * tells when snapshots and bookmarks were made.
   */
  list(what: { dataset?: string; recursive?: boolean; creation?: boolean }): Promise<DatasetEntry[]>;
  /**
   * One `zfs list` for all of those datasets that exist, each with its snapshots and bookmarks by createtxg: guids, times and what
   * was written. Nothing is told of encryption, origins, holds and resume tokens.
   */
  listEach(datasets: readonly string[]): Promise<DatasetEntry[]>;
  /** Those of the named datasets, snapshots (`pool/a@x`) and bookmarks (`pool/a#b`) that exist, in one process. */
  look(names: string[]): Promise<InspectedName[]>;
  /** The holds of those snapshots that exist. */
  holds(snapshots: string[]): Promise<{ snapshot: string; tag: string }[]>;
  /** Those properties of those of the datasets that exist, as `zfs get -p` shows them, by the dataset's name. */
  properties(datasets: string[], properties: string[]): Promise<Map<string, Record<string, string>>>;
  /** Bytes that its dataset has written since the snapshot, whatever else was made in between. NO_SUCH_SNAPSHOT */
  writtenSince(snapshot: string): Promise<number>;
}

/** What is read of the output of a command: that it cannot be trusted is said with the command and the host. */
function trustedOn<Value>(host: string, doing: string, read: () => Value): Value {
  try {
    return read();
  } catch (thrown) {
    const { code, message, details } = ZpsendError.from(thrown);
    throw new ZpsendError(code, `${doing} on ${host}: ${message}`, details);
  }
}

/** What is there. */
export function listing(commands: Commands): Listing {
  const { zfsEnvironment, failed, runWithTimeout } = commands;
  const unknown = new Set<string>();
  const trusted = <Value>(doing: string, read: () => Value): Value => trustedOn(zfsEnvironment.host, doing, read);

  /** Runs a listing; a column that this release does not know is left out, now and from then on. */
  async function withColumns(argv: (columns: Column[]) => string[], doing: string, more: readonly Column[] = []) {
    for (;;) {
      const columns = [...requiredColumns, ...optionalColumns.filter((column) => !unknown.has(column)), ...more];
      const outcome = await runQuery(zfsEnvironment, 'zfs', argv(columns), doing);
      const refused = outcome.ok
        ? undefined
        : optionalColumns.find((column) => column === unknownColumn(outcome.stderr));
      if (refused === undefined || unknown.has(refused)) return { columns, outcome };
      unknown.add(refused);
    }
  }

  async function ownValues(what: { dataset?: string; recursive?: boolean }, doing: string): Promise<OwnValues> {
    const argv = ownPropertiesArgv(what);
    const tolerated = what.dataset === undefined ? onlyMissing : undefined;
    const { stdout } = await runWithTimeout(argv, `${doing}: reading what zpsend noted there`, tolerated);
    const asked = what.recursive || what.dataset === undefined ? what.dataset : new Set([what.dataset]);
    return trusted(doing, () => parseProperties(stdout, ownProperties, asked));
  }

  async function look(names: string[]): Promise<InspectedName[]> {
    const seen: InspectedName[] = [];
    for (const some of batches(names)) {
      const doing = `looking at ${some.length === 1 ? some[0] : `${some.length} names`}`;
      const { columns, outcome } = await withColumns((columns) => inspectArgv(some, columns), doing);
      if (!outcome.ok && !onlyMissing(outcome.stderr)) throw failed(outcome, doing);
      seen.push(...trusted(doing, () => parseInspected(outcome.stdout, columns, new Set(some))));
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
      // after the listing: a rollback is noted before it destroys anything, so what the listing lacks has its note here
      const own = await ownValues(what, doing);
      const only = what.recursive ? undefined : what.dataset;
      const rows = { stdout: outcome.stdout, columns, asked: what.dataset, only };
      const datasets = trusted(doing, () => parseListing(rows, own));
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
        const doing = `listing ${some.length} datasets`;
        const { stdout } = await runWithTimeout(listEachArgv(some), doing, onlyMissing);
        const asked = new Set(some);
        const entries = trusted(doing, () => parseListing({ stdout, columns: lagColumns, asked: undefined }));
        listed.push(...entries.filter(({ name }) => asked.has(name)));
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
      const { stdout } = await runWithTimeout(writtenSinceArgv(snapshot), `reading what was written since ${snapshot}`);
      const bytes = parseBytes(stdout);
      if (bytes !== undefined) return bytes;
      throw new ZpsendError('NO_SUCH_SNAPSHOT', `${snapshot} on ${zfsEnvironment.host} is gone`, { snapshot });
    },

    async properties(datasets, properties) {
      const doing = `reading ${properties.join(', ')}`;
      const { stdout } = await runWithTimeout(propertiesArgv(datasets, properties), doing, onlyMissing);
      return trusted(doing, () => parseProperties(stdout, properties, new Set(datasets)));
    },
  };
}
