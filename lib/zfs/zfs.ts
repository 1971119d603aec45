import { hostname } from 'node:os';
import type { Pool } from '../../schemas/host.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import { about } from './about.ts';
import type { ReceiveRequest, StreamRequest } from './argv.ts';
import { changes } from './changes.ts';
import { commandsOf } from './commands.ts';
import { listing } from './listing.ts';
import { marks } from './marks.ts';
import type { InspectedName, PoolFacts } from './parse.ts';
import { openOutputPairs } from './pipe.ts';
import { environment, whoami, type ZfsProcess } from './run.ts';
import { streams } from './streams.ts';

export type { InspectedName, PoolFacts } from './parse.ts';
export type { ZfsProcess } from './run.ts';

/** ZFS on this host. Every failure is a ZpsendError; names are checked before a process starts (I10). */
export interface Zfs {
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
  /** Destroys those snapshots of one dataset, all or none: what is held, sent or cloned from keeps all from going. DIVERGED, BUSY. */
  destroySnapshots(dataset: string, leaves: readonly string[]): Promise<void>;
  /** Remembers a rollback at the dataset (`rollbackMarkSchema`); all that was written before is counted once this is done. */
  markRollback(dataset: string, guid: string, mark: string): Promise<void>;
  /** Bytes that its dataset has written since the snapshot, whatever else was made in between. NO_SUCH_SNAPSHOT */
  writtenSince(snapshot: string): Promise<number>;
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
   * Makes the bookmark `pool/a#zpsend_...` of a snapshot or of another bookmark; one of that name is no error. NOT_ALLOWED without the permission,
   * UNSUPPORTED where the pool lacks the feature, NO_SUCH_SNAPSHOT when the snapshot is gone.
   */
  bookmark(of: string, bookmark: string): Promise<void>;
  /** Destroys that one bookmark, which has to be zpsend's own; one that is not there is no error. */
  destroyBookmark(bookmark: string): Promise<void>;
  /** Those properties of those of the datasets that exist, as `zfs get -p` shows them, by the dataset's name. */
  properties(datasets: string[], properties: string[]): Promise<Map<string, Record<string, string>>>;
  /** Bytes that `zfs send` will print, as ZFS guesses (far off at times for a token, openzfs#16691); undefined where it does not say. */
  estimate(stream: StreamRequest): Promise<number | undefined>;
  /** First line of `zfs version`. */
  version(): Promise<string>;
  pools(): Promise<Pool[]>;
  /**
   * What streams need to know of one pool, or of all. Undefined where it cannot be had, which is no error: only what is safe
   * without it is done then.
   */
  poolFacts(pool?: string): Promise<PoolFacts | undefined>;
}

export interface ZfsOptions {
  /** This host's name in messages. */
  host?: string;
  /** Its PATH finds `zfs` and `zpool`; the system's sbin folders are searched after it. */
  env?: NodeJS.ProcessEnv;
  /** How long a command that changes no data may take, in milliseconds; 5 minutes when absent. */
  briefMs?: number;
}

export function createZfs(options: ZfsOptions = {}): Zfs {
  const commands = commandsOf({
    host: options.host ?? hostname(),
    user: whoami(),
    env: environment(options.env ?? process.env),
    outputs: openOutputPairs(),
    ...(options.briefMs !== undefined && { briefMs: options.briefMs }),
  });
  return {
    ...listing(commands),
    ...streams(commands),
    ...marks(commands),
    ...changes(commands),
    ...about(commands),
  };
}
