import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { isAlive, processStamp, sleep } from './processes.ts';
import { Refusal } from './refusal.ts';

export interface Snapshot {
  name: string;
  /** 64-bit decimal; a received snapshot keeps the guid of its source. */
  guid: string;
  txg: number;
  /** Seconds since the epoch. */
  time: number;
  /** How many of the dataset's extents it holds. */
  extents: number;
  /** Of an encrypted dataset: which encryption of its contents; a raw stream brings it. */
  ivset?: string;
  /** Tag and second of each hold. */
  holds?: [tag: string, time: number][];
  /** Marked by `destroy -d`: goes with its last hold. */
  deferred?: boolean;
  props?: Record<string, string>;
}

export interface Bookmark {
  name: string;
  guid: string;
  txg: number;
  time: number;
  extents: number;
  ivset?: string;
  /** Of a redaction bookmark: guids of the snapshots that lack what it redacts. */
  redaction?: string[];
}

/** A receive under way or interrupted; how far it came is in a file of its own. */
export interface Receipt {
  id: string;
  process: string;
  resumable: boolean;
  /** The dataset was made by this receive and goes with it. */
  fresh: boolean;
  /** The guid of what was the newest snapshot when it began. */
  newest?: string;
}

/** What wraps the key of an encrypted dataset: as `zfs list` shows it. */
export interface Wrapping {
  keyformat: string;
  pbkdf2salt: string;
  pbkdf2iters: string;
}

export interface Dataset {
  name: string;
  type: 'filesystem' | 'volume';
  guid: string;
  txg: number;
  time: number;
  /** `dataset@snapshot` this is a clone of. */
  origin?: string;
  props: Record<string, string>;
  /** Content as a flat row of size, seed, size, seed...; a snapshot holds a leading part of it. */
  extents: number[];
  snapshots: Snapshot[];
  bookmarks: Bookmark[];
  receipt?: Receipt;
  /** Set where it has held blocks of more than 128K, or received a stream that may bring them. */
  large?: boolean;
  /** What wraps its own key, an encryption root or not; a clone has none beside its origin's. */
  wrapping?: Wrapping;
  /** Whether the key of an encryption root is loaded. */
  keyLoaded?: boolean;
  /** Set while mounted; a received dataset is mounted unless `-u` was given. */
  unmounted?: boolean;
}

export interface Pool {
  name: string;
  guid: string;
  /** Bytes. */
  size: number;
  txg: number;
  /** Enabled features, of those that the simulator knows; all where absent. */
  features?: string[];
  /** Imported so: nothing in it can be changed. */
  readOnly?: boolean;
  datasets: Dataset[];
}

/** Why a change is not written; how that is worded depends on the command. */
export class ReadOnlyPool extends Error {}

/** The folder the simulator keeps everything in. */
export function stateFolder(): string {
  const folder = process.env.ZFS_SIM_STATE;
  if (folder === undefined || folder === '') {
    throw new Refusal('the ZFS simulator needs ZFS_SIM_STATE: the folder that holds its pools');
  }
  mkdirSync(folder, { recursive: true });
  return folder;
}

const poolFile = (name: string): string => `${stateFolder()}/${encodeURIComponent(name)}.pool`;

export const poolNames = (): string[] =>
  readdirSync(stateFolder())
    .filter((file) => file.endsWith('.pool'))
    .map((file) => decodeURIComponent(file.slice(0, -'.pool'.length)))
    .sort();

/** Reads a pool as it stands now, or undefined. Needs no lock: a pool's file is replaced as a whole. */
export function readPool(name: string): Pool | undefined {
  let text: string;
  try {
    text = readFileSync(poolFile(name), 'utf8');
  } catch {
    return undefined;
  }
  const pool = JSON.parse(text) as Pool;
  dropDeadReceipts(pool);
  return pool;
}

/** A receive that was killed and was not started with -s leaves nothing. */
function dropDeadReceipts(pool: Pool): void {
  for (const dataset of pool.datasets) {
    const { receipt } = dataset;
    if (receipt === undefined || receipt.resumable || isAlive(receipt.process)) continue;
    delete dataset.receipt;
    if (receipt.fresh) pool.datasets = pool.datasets.filter((other) => other !== dataset);
  }
}

function writePool(pool: Pool): void {
  const file = poolFile(pool.name);
  writeFileSync(`${file}.new`, JSON.stringify(pool));
  renameSync(`${file}.new`, file);
}

/** Runs `change` on a pool while no other process changes it, and writes it back unless `change` throws. */
export function changePool<T>(name: string, change: (pool: Pool) => T, absent: () => Refusal): T {
  const unlock = lock(name);
  try {
    const pool = readPool(name);
    if (pool === undefined) throw absent();
    const before = pool.readOnly ? JSON.stringify(pool) : undefined;
    const result = change(pool);
    if (before !== undefined && before !== JSON.stringify(pool)) throw new ReadOnlyPool();
    writePool(pool);
    return result;
  } finally {
    unlock();
  }
}

export function createPool(pool: Pool): void {
  const unlock = lock(pool.name);
  try {
    writePool(pool);
  } finally {
    unlock();
  }
}

export function removePool(name: string): void {
  unlinkSync(poolFile(name));
}

const exportedFile = (name: string): string => `${poolFile(name)}.exported`;

export const exportPool = (name: string): void => renameSync(poolFile(name), exportedFile(name));

/** False where no pool of that name was exported. */
export function importPool(name: string, readOnly: boolean): boolean {
  let text: string;
  try {
    text = readFileSync(exportedFile(name), 'utf8');
  } catch {
    return false;
  }
  const { readOnly: _, ...pool } = JSON.parse(text) as Pool;
  createPool({ ...pool, ...(readOnly && { readOnly }) });
  unlinkSync(exportedFile(name));
  return true;
}

/** Takes the pool's lock file; the lock of a process that is gone is removed. */
function lock(name: string): () => void {
  const file = `${poolFile(name)}.lock`;
  const mine = `${file}.${process.pid}`;
  // linked into place, so that a lock never stands there without its owner's stamp
  writeFileSync(mine, processStamp());
  try {
    for (;;) {
      try {
        linkSync(mine, file);
        return () => unlinkSync(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        removeStale(file);
        sleep(2);
      }
    }
  } finally {
    unlinkSync(mine);
  }
}

function removeStale(file: string): void {
  try {
    const owner = readFileSync(file, 'utf8');
    if (!isAlive(owner) && readFileSync(file, 'utf8') === owner) unlinkSync(file);
  } catch {
    // the owner has removed it in between
  }
}
