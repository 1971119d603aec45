import type { SnapshotDigest } from '../../schemas/digest.ts';
import type { ErrorBody } from '../../schemas/errors.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import type { Content } from '../../schemas/verify.ts';

/** How to read both snapshots, or why their contents cannot be compared. */
export type Reading = { raw: boolean } | { incomparable: string };

const isLocked = ({ encryption, keystatus }: DatasetEntry): boolean =>
  encryption !== 'off' && keystatus !== 'available';

/** Plain if both sides can be read; raw if a key is not loaded. */
export function readingOf(source: DatasetEntry, target: DatasetEntry): Reading {
  const locked = [source, target].filter(isLocked);
  if (locked.length === 0) return { raw: false };
  if (source.encryption !== 'off' && target.encryption !== 'off') return { raw: true };
  const names = locked.map(({ name }) => name).join(' and ');
  return { incomparable: `one side is encrypted and the other is not: load the key of ${names} (zfs load-key)` };
}

/** The result of reading one side. */
export type Read = { digest: SnapshotDigest } | { error: ErrorBody };

const incomparable = (reason: string): Content => ({ state: 'incomparable', reason });

function unread(error: ErrorBody): Content {
  const { code, message } = error;
  if (code === 'NO_SUCH_SNAPSHOT' || code === 'NO_SUCH_DATASET') return { state: 'gone', reason: message };
  if (code === 'KEY_REQUIRED') return incomparable(message);
  return { state: 'failed', error };
}

/** @param guid of the snapshot, as it was listed on both sides */
export function contentOf(guid: string, source: Read, target: Read): Content {
  if ('error' in source) return unread(source.error);
  if ('error' in target) return unread(target.error);
  const [ours, theirs] = [source.digest, target.digest];
  if (ours.guid !== guid || theirs.guid !== guid) {
    return { state: 'gone', reason: 'another snapshot has its name now' };
  }
  const digests = { source: ours.digest, target: theirs.digest };
  if (ours.method !== theirs.method) {
    return { ...incomparable(`the digests use different methods, ${ours.method} and ${theirs.method}`), ...digests };
  }
  if (ours.digest === theirs.digest) return { state: 'equal', ...digests };
  if (ours.ivSet !== theirs.ivSet) {
    const reason = 'the two sides are encrypted differently: load both keys (zfs load-key) to compare the contents';
    return { ...incomparable(reason), ...digests };
  }
  return { state: 'different', ...digests };
}
