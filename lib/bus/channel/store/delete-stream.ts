import { parseStoredName, storedName } from '../../subjects.ts';
import { type DeliveryState, isSettled } from './delivery-state.ts';
import type { StreamsBucket } from './object-bucket.ts';

/** Why a stored stream is to be deleted. There are no other reasons. */
export type Deletion =
  /** It is complete, and was stored for these deliveries. */
  | {
      readonly reason: 'settled';
      readonly id: string;
      /** How many are left. */
      readonly segments: number;
      readonly deliveries: readonly DeliveryState[];
      /** The known targets take account of all its receipts. */
      readonly isRecorded: boolean;
    }
  /** Its job is dead. */
  | {
      readonly reason: 'abandoned';
      readonly isComplete: boolean;
      /** Names of what is in the store of it. */
      readonly pieces: readonly string[];
    }
  /** Its own transfer has failed, and puts nothing more. */
  | {
      readonly reason: 'failed';
      readonly id: string;
      /** How many it has started to put. */
      readonly segments: number;
      /** Its manifest may have been stored. */
      readonly hasEnded: boolean;
    };

/**
 * What may be deleted, in groups: one begins when all of the one before is gone. Nothing where a target needs the stream, or where
 * the job of an abandoned one has completed it.
 */
export function piecesToDelete(deletion: Deletion): string[][] {
  switch (deletion.reason) {
    case 'settled': {
      const { id, segments, deliveries, isRecorded } = deletion;
      if (deliveries.length === 0 || !deliveries.every(isSettled)) return [];
      // the manifest last: until then a killed sender finds all of this again
      return present(segmentsOf(id, segments), isRecorded ? [storedName({ kind: 'manifest', id })] : []);
    }
    case 'abandoned': {
      if (deletion.isComplete) return [];
      const segments = deletion.pieces.filter((name) => parseStoredName(name)?.kind === 'segment');
      // if its job is alive after all, it sees what is missing before it completes the stream
      return present(segments.length > 0 ? segments : deletion.pieces);
    }
    case 'failed': {
      const { id, segments, hasEnded } = deletion;
      // as long as its manifest may be there its segments stay
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
 * Deletes a stored stream, or what there is of it. No other code deletes a stored stream; the bucket's age limit may.
 * @returns false where the signal has ended it
 * @throws ZpsendError what could not be deleted; a failed transfer's other segments are deleted before, since it has no second try
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

/** What is in a store. */
export interface StoreListing {
  readonly names: readonly string[];
  /** Names of objects with any bytes there, complete or not. */
  readonly withChunks: readonly string[];
}

/** Lists the chunks first, so that a stream that is completed meanwhile shows as complete. */
export async function listStore(bucket: StreamsBucket): Promise<StoreListing> {
  const withChunks = await bucket.withChunks();
  return { withChunks, names: await bucket.names() };
}

/** The pieces of incomplete streams, in order, by the ids of their transfers. */
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
