import { hostname } from 'node:os';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Pool } from '../../schemas/host.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import { snapshotSchema } from '../../schemas/names.ts';
import type { StreamFeature } from '../../schemas/stream.ts';
import {
  abortReceiveArgv,
  bookmarkArgv,
  type Column,
  contentArgv,
  destroyBookmarkArgv,
  destroySnapshotsArgv,
  estimateArgv,
  featuresArgv,
  holdArgv,
  holdsArgv,
  listArgv,
  lookArgv,
  optionalColumns,
  placeholderArgv,
  poolsArgv,
  propertiesArgv,
  type ReceiveRequest,
  receiveArgv,
  releaseArgv,
  renameArgv,
  requiredColumns,
  rollbackArgv,
  type StreamRequest,
  sendArgv,
  versionArgv,
} from './argv.ts';
import {
  isMissing,
  nothingToAbort,
  onlyHeld,
  onlyMarked,
  onlyMissing,
  onlyReleased,
  onlyThere,
  onlyUnmarked,
  toError,
  unknownColumn,
  unknownCommand,
} from './errors.ts';
import {
  joinOrigins,
  parseEstimate,
  parseHolds,
  parseListing,
  parsePools,
  parseProperties,
  parseSeen,
  parseToken,
  type Seen,
  type TokenContents,
} from './parse.ts';
import { openOutputPairs } from './pipe.ts';
import { environment, type Outcome, type Rim, run, runBriefly, start, whoami, type ZfsProcess } from './run.ts';
import { parseFeatures } from './stream-flags.ts';

export type { Seen, TokenContents } from './parse.ts';
export type { ZfsProcess } from './run.ts';

/** ZFS on this host. Every failure is a ZpsendError; names are checked before a process starts (I10). */
export interface Zfs {
  /**
   * One `zfs list` for everything asked: datasets by name, each with its snapshots and bookmarks by createtxg. Without
   * `dataset` everything; `recursive` adds descendants. Where an origin lies outside, one look finds its guid.
   */
  list(what: { dataset?: string; recursive?: boolean }): Promise<DatasetEntry[]>;
  /** Those of the named datasets, snapshots (`pool/a@x`) and bookmarks (`pool/a#b`) that exist, in one process. */
  look(names: string[]): Promise<Seen[]>;
  /** Starts `zfs send`, full or `-i`. `from` is `pool/a@x` or `pool/a#bookmark`, in full. */
  send(stream: StreamRequest): ZfsProcess;
  /** Starts a full `zfs send` of a snapshot (`pool/a@x`) whose contents are to be read; `raw`: as they are encrypted, which needs no key. */
  content(snapshot: string, raw: boolean): ZfsProcess;
  /** Starts `zfs receive -s -u` into `dataset@snapshot`; give `snapshot` always, so that only that one can come. */
  receive(into: ReceiveRequest): ZfsProcess;
  /**
   * Makes an empty filesystem that is never mounted, as a parent for others; it is encrypted exactly when its own parent is.
   * False when a dataset of that name is there already, which is no error. Its parent must exist: NO_SUCH_DATASET.
   */
  createPlaceholder(dataset: string): Promise<boolean>;
  /**
   * Destroys those snapshots of one dataset; what is held, sent or cloned from keeps all of its process from going (some
   * hundreds go in one). DIVERGED, BUSY.
   */
  destroySnapshots(dataset: string, leaves: readonly string[]): Promise<void>;
  /** Drops what was written since the dataset's newest snapshot; DIVERGED where this is not the newest. */
  rollback(snapshot: string): Promise<void>;
  /** Renames a dataset with all below it; EXISTS where the name is taken, BUSY where it cannot be unmounted. */
  rename(from: string, to: string): Promise<void>;
  /** `zfs receive -A`: destroys what an interrupted receive left. Nothing to abort is no error. */
  abortReceive(dataset: string): Promise<void>;
  /** Holds all in one process; a snapshot this tag holds already is no error. After a failure some may be held: release them. */
  hold(tag: string, snapshots: string[]): Promise<void>;
  /** Releases all in one process; a missing tag or snapshot is no error. `missing`: some snapshot is not there under its name. */
  release(tag: string, snapshots: string[]): Promise<{ missing: boolean }>;
  /** The holds of those snapshots that exist. */
  holds(snapshots: string[]): Promise<{ snapshot: string; tag: string }[]>;
  /**
   * Makes the bookmark `pool/a#zpsend_...` of a snapshot; one of that name is no error. NOT_ALLOWED without the permission,
   * UNSUPPORTED where the pool lacks the feature, NO_SUCH_SNAPSHOT when the snapshot is gone.
   */
  bookmark(snapshot: string, bookmark: string): Promise<void>;
  /** Destroys that one bookmark, which has to be zpsend's own; one that is not there is no error. */
  destroyBookmark(bookmark: string): Promise<void>;
  /** Those properties of those of the datasets that exist, as `zfs get -p` shows them, by the dataset's name. */
  properties(datasets: string[], properties: string[]): Promise<Map<string, Record<string, string>>>;
  /** Bytes that `zfs send` will print, as ZFS guesses (far off at times for a token, openzfs#16691); undefined where it does not say. */
  estimate(stream: StreamRequest): Promise<number | undefined>;
  /** What a resume token says, asked on the source; RESUME_STALE when it cannot be used any more, `toname` in its details. */
  token(token: string): Promise<TokenContents>;
  /** First line of `zfs version`. */
  version(): Promise<string>;
  pools(): Promise<Pool[]>;
  /**
   * Enabled features of one pool, or of all, as far as streams need them. Undefined where they cannot be had, which is no
   * error: only what is safe without them is done then.
   */
  features(pool?: string): Promise<Record<string, StreamFeature[]> | undefined>;
}

export interface ZfsOptions {
  /** This host's name in messages. */
  host?: string;
  /** Its PATH finds `zfs` and `zpool`; the system's sbin folders are searched after it. */
  env?: NodeJS.ProcessEnv;
  /** How long a command that changes no data may take, in milliseconds; 5 minutes when absent. */
  briefMs?: number;
}

/** Far below ARG_MAX (2 MiB on Linux) with the longest of names. */
const namesAtOnce = 4000;
/** They are one argument, which Linux lets be 128 KiB long. */
const destroysAtOnce = 400;

export function createZfs(options: ZfsOptions = {}): Zfs {
  const rim: Rim = {
    host: options.host ?? hostname(),
    user: whoami(),
    env: environment(options.env ?? process.env),
    outputs: openOutputPairs(),
    ...(options.briefMs !== undefined && { briefMs: options.briefMs }),
  };
  const unknown = new Set<string>();

  const failed = (outcome: Outcome, doing: string, from?: string): ZpsendError =>
    toError({ ...outcome, doing, host: rim.host, from });

  async function must(argv: string[], doing: string): Promise<void> {
    const outcome = await run(rim, 'zfs', argv, doing);
    if (!outcome.ok) throw failed(outcome, doing);
  }

  /** Runs a listing; a column that this release does not know is left out, now and from then on. */
  async function withColumns(argv: (columns: Column[]) => string[], doing: string) {
    for (;;) {
      const columns = [...requiredColumns, ...optionalColumns.filter((column) => !unknown.has(column))];
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
      const { columns, outcome } = await withColumns((columns) => listArgv(what, columns), doing);
      // without a single pool there is nothing to list
      if (!outcome.ok && !(what.dataset === undefined && onlyMissing(outcome.stderr))) throw failed(outcome, doing);
      const datasets = parseListing(outcome.stdout, columns, what.recursive ? undefined : what.dataset);
      const outside = joinOrigins(datasets, new Map()).filter((name) => snapshotSchema.safeParse(name).success);
      if (outside.length > 0)
        joinOrigins(datasets, new Map((await look(outside)).map((seen) => [seen.name, seen.guid])));
      return datasets;
    },

    send(stream) {
      const doing = 'token' in stream ? 'resuming a send' : `sending ${stream.to}`;
      return start(rim, sendArgv(stream), { doing, from: 'token' in stream ? undefined : stream.from });
    },

    content: (snapshot, raw) => start(rim, contentArgv(snapshot, raw), { doing: `reading ${snapshot}` }),

    receive(into) {
      return start(rim, receiveArgv(into), { doing: `receiving into ${into.dataset}` });
    },

    async createPlaceholder(dataset) {
      const doing = `making ${dataset}`;
      const outcome = await run(rim, 'zfs', placeholderArgv(dataset), doing);
      if (!outcome.ok && !onlyThere(outcome.stderr)) throw failed(outcome, doing);
      return outcome.ok;
    },

    async destroySnapshots(dataset, leaves) {
      for (const some of batches(leaves, destroysAtOnce)) {
        await must(destroySnapshotsArgv(dataset, some), `destroying ${some.length} snapshots of ${dataset}`);
      }
    },

    rollback: (snapshot) => must(rollbackArgv(snapshot), `rolling back to ${snapshot}`),
    rename: (from, to) => must(renameArgv(from, to), `renaming ${from} to ${to}`),

    async abortReceive(dataset) {
      const doing = `aborting the partial receive of ${dataset}`;
      const outcome = await run(rim, 'zfs', abortReceiveArgv(dataset), doing);
      if (!outcome.ok && !nothingToAbort(outcome.stderr)) throw failed(outcome, doing);
    },

    async hold(tag, snapshots) {
      for (const some of batches(snapshots)) {
        const doing = `holding ${some.join(', ')}`;
        const outcome = await runBriefly(rim, 'zfs', holdArgv(tag, some), doing);
        if (!outcome.ok && !onlyHeld(outcome.stderr)) throw failed(outcome, doing);
      }
    },

    async release(tag, snapshots) {
      let missing = false;
      for (const some of batches(snapshots)) {
        const doing = `releasing ${some.join(', ')}`;
        const outcome = await runBriefly(rim, 'zfs', releaseArgv(tag, some), doing);
        if (!outcome.ok && !onlyReleased(outcome.stderr)) throw failed(outcome, doing);
        if (isMissing(outcome.stderr)) missing = true;
      }
      return { missing };
    },

    async holds(snapshots) {
      const holds: { snapshot: string; tag: string }[] = [];
      for (const some of batches(snapshots)) {
        const outcome = await runBriefly(rim, 'zfs', holdsArgv(some), 'listing holds');
        if (!outcome.ok && !onlyMissing(outcome.stderr)) throw failed(outcome, 'listing holds');
        holds.push(...parseHolds(outcome.stdout));
      }
      return holds;
    },

    async bookmark(snapshot, bookmark) {
      const doing = `bookmarking ${snapshot} as ${bookmark}`;
      const outcome = await runBriefly(rim, 'zfs', bookmarkArgv(snapshot, bookmark), doing);
      if (!outcome.ok && !onlyMarked(outcome.stderr)) throw failed(outcome, doing);
    },

    async destroyBookmark(bookmark) {
      const doing = `removing the bookmark ${bookmark}`;
      const outcome = await runBriefly(rim, 'zfs', destroyBookmarkArgv(bookmark), doing);
      if (!outcome.ok && !onlyUnmarked(outcome.stderr)) throw failed(outcome, doing);
    },

    async properties(datasets, properties) {
      const doing = `reading ${properties.join(', ')}`;
      const outcome = await runBriefly(rim, 'zfs', propertiesArgv(datasets, properties), doing);
      if (!outcome.ok && !onlyMissing(outcome.stderr)) throw failed(outcome, doing);
      return parseProperties(outcome.stdout);
    },

    async estimate(stream) {
      const doing = 'token' in stream ? 'estimating a resumed send' : `estimating the size of ${stream.to}`;
      const outcome = await runBriefly(rim, 'zfs', estimateArgv(stream), doing);
      if (!outcome.ok) throw failed(outcome, doing, 'token' in stream ? undefined : stream.from);
      // releases differ in whether a dry run speaks on stdout or stderr
      return parseEstimate(`${outcome.stdout}\n${outcome.stderr}`);
    },

    async token(token) {
      const doing = 'reading a resume token';
      const outcome = await runBriefly(rim, 'zfs', estimateArgv({ token }), doing);
      const contents = parseToken(`${outcome.stdout}\n${outcome.stderr}`);
      if (!outcome.ok) {
        const { code, message, details } = failed(outcome, doing);
        // it says what it is of also when that is gone
        throw new ZpsendError(code, message, { ...details, ...(contents && { toname: contents.toname }) });
      }
      if (contents) return contents;
      throw new ZpsendError('RESUME_STALE', `${doing} on ${rim.host}: zfs did not say what it holds`);
    },

    async version() {
      const outcome = await runBriefly(rim, 'zfs', versionArgv, 'asking for the version');
      if (outcome.ok) return outcome.stdout.split('\n', 1)[0] || 'zfs';
      if (unknownCommand(outcome.stderr)) return 'zfs (does not tell its version)';
      throw failed(outcome, 'asking for the version');
    },

    async pools() {
      const outcome = await runBriefly(rim, 'zpool', poolsArgv, 'listing pools');
      if (!outcome.ok) throw failed(outcome, 'listing pools');
      return parsePools(outcome.stdout);
    },

    async features(pool) {
      const outcome = await run(rim, 'zpool', featuresArgv(pool), 'asking for pool features').catch(() => undefined);
      return outcome?.ok ? parseFeatures(outcome.stdout) : undefined;
    },
  };
}

function batches(names: readonly string[], most = namesAtOnce): string[][] {
  const batches: string[][] = [];
  for (let at = 0; at < names.length; at += most) batches.push(names.slice(at, at + most));
  return batches;
}
