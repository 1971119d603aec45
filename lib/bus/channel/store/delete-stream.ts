import { parseStoredName, storedName } from '../../subjects.ts';
import { type DeliveryState, isSettled } from './delivery-state.ts';
import type { StreamsBucket } from './object-bucket.ts';

/** Why a stored stream is deleted. There are no other reasons. */
export type Deletion =
  /** The stream is complete, and these are its deliveries. */
  | {
      readonly reason: 'settled';
      readonly id: string;
      /** The number of segments. */
      readonly segments: number;
      readonly deliveries: readonly DeliveryState[];
      /** All its receipts are recorded in the known targets. */
      readonly isRecorded: boolean;
    }
  /** Its job is dead. */
  | {
      readonly reason: 'abandoned';
      readonly isComplete: boolean;
      /** The names of its objects in the store. */
      readonly pieces: readonly string[];
    }
  /** Its own transfer has failed, and stores nothing more. */
  | {
      readonly reason: 'failed';
      readonly id: string;
      /** The number of segments whose upload has started. */
      readonly segments: number;
      /** Its manifest may have been stored. */
      readonly hasEnded: boolean;
    };

/**
 * The objects that may be deleted, in groups: each group begins when the group before is deleted. None if a target still needs the
 * stream, or if its job has completed an abandoned stream after all.
 */
export function piecesToDelete(deletion: Deletion): string[][] {
  switch (deletion.reason) {
    case 'settled': {
      const { id, segments, deliveries, isRecorded } = deletion;
      if (deliveries.length === 0 || !deliveries.every(isSettled)) return [];
      // the manifest last, so that a killed sender finds the rest by it
      return present(segmentsOf(id, segments), isRecorded ? [storedName({ kind: 'manifest', id })] : []);
    }
    case 'abandoned': {
      if (deletion.isComplete) return [];
      const segments = deletion.pieces.filter((name) => parseStoredName(name)?.kind === 'segment');
      // if its job is alive after all, it finds segments missing before it stores the manifest
      return present(segments.length > 0 ? segments : deletion.pieces);
    }
    case 'failed': {
      const { id, segments, hasEnded } = deletion;
      // the segments stay as long as the manifest may be there
      return present(hasEnded ? [storedName({ kind: 'manifest', id })] : [], segmentsOf(id, segments));
    }
  }
}

const present = (...groups: (readonly string[])[]): string[][] =>
  groups.filter(({ length }) => length > 0).map((group) => [...group]);

const segmentsOf = (id: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => storedName({ kind: 'segment', id, at }));

const deletedAtOnce = 8;

/**
 * Deletes a stored stream, complete or not. Only this function and the bucket's age limit delete stored streams.
 * @returns false if the signal ended it early
 * @throws ZpsendError the first failure; of a failed transfer, only after all other segments were tried, since there is no second try
 */
export async function deleteStored(bucket: StreamsBucket, deletion: Deletion, signal?: AbortSignal): Promise<boolean> {
  for (const group of piecesToDelete(deletion)) {
    const failures: unknown[] = [];
    for (let at = 0; at < group.length; at += deletedAtOnce) {
      if (signal?.aborted) return false;
      const results = await Promise.allSettled(group.slice(at, at + deletedAtOnce).map((name) => bucket.remove(name)));
      for (const result of results) if (result.status === 'rejected') failures.push(result.reason);
      if (failures.length > 0 && deletion.reason !== 'failed') break;
    }
    if (failures.length > 0) throw failures[0];
  }
  return true;
}

/** The objects of a store. */
export interface StoreListing {
  readonly names: readonly string[];
  /** The names of objects that have chunks, complete or not. */
  readonly withChunks: readonly string[];
}

/** Lists the chunks first, so that a stream that is completed meanwhile shows as complete. */
export async function listStore(bucket: StreamsBucket): Promise<StoreListing> {
  const withChunks = await bucket.withChunks();
  return { withChunks, names: await bucket.names() };
}

/** The objects of incomplete streams, sorted by name, by the id of the transfer. */
export function incompleteIn({ names, withChunks }: StoreListing): Map<string, string[]> {
  const pieces = new Map<string, string[]>();
  for (const name of [...new Set([...names, ...withChunks])].sort()) {
    const parsed = parseStoredName(name);
    if (parsed?.kind !== 'segment' && parsed?.kind !== 'manifest') continue;
    const known = pieces.get(parsed.id);
    if (known) known.push(name);
    else pieces.set(parsed.id, [name]);
  }
  const there = new Set(names);
  for (const id of pieces.keys()) if (there.has(storedName({ kind: 'manifest', id }))) pieces.delete(id);
  return pieces;
}
