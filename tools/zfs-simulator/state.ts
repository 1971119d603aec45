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
  /** The number of the dataset's extents that it has. */
  extents: number;
  /** The IV set guid of an encrypted dataset's snapshot; a raw stream has it too. */
  ivset?: string;
  /** Tag and second of each hold. */
  holds?: [tag: string, time: number][];
  /** Marked by `destroy -d`: destroyed with its last hold. */
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
  /** Of a redaction bookmark: guids of its redaction snapshots. */
  redaction?: string[];
}

/** A running or interrupted receive; its progress is in a separate file. */
export interface Receipt {
  id: string;
  process: string;
  resumable: boolean;
  /** This receive created the dataset; aborting it destroys the dataset. */
  fresh: boolean;
  /** The guid of the newest snapshot at its start. */
  newest?: string;
}

/** The wrapping of an encrypted dataset's key, as `zfs list` shows it. */
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
  /** The origin, `dataset@snapshot`. */
  origin?: string;
  props: Record<string, string>;
  /** Content as a flat row of size, seed, size, seed...; a snapshot has a leading part of it. */
  extents: number[];
  snapshots: Snapshot[];
  bookmarks: Bookmark[];
  receipt?: Receipt;
  /** Set if it had blocks of more than 128K, or received a stream that may have them. */
  large?: boolean;
  /** The wrapping of its own key, even if it is not an encryption root; a clone has only its origin's. */
  wrapping?: Wrapping;
  /** Is the key of an encryption root loaded? */
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
  /** The enabled features that the simulator knows; all if absent. */
  features?: string[];
  /** Imported read-only. */
  readOnly?: boolean;
  datasets: Dataset[];
}

/** The reason why a change is not written; each command has its own message for it. */
export class ReadOnlyPool extends Error {}

/** The folder with the simulator's files. */
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

/** The present state of a pool, or undefined. Needs no lock: a pool's file is replaced atomically. */
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

/** A killed receive without -s leaves nothing. */
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

/** False if no pool of that name was exported. */
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

/** Takes the pool's lock file; removes the lock of a process that has ended. */
function lock(name: string): () => void {
  const file = `${poolFile(name)}.lock`;
  const mine = `${file}.${process.pid}`;
  // linked into place, so that a lock always has its owner's stamp
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
    // the owner has removed it meanwhile
  }
}
