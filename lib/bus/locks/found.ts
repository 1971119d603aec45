import type { StoredMsg } from '@nats-io/jetstream';
import { type Lock, lockSchema } from '../../../schemas/transfer.ts';
import type { FoundKey } from './vacancy.ts';

/** What lies under the key of a lock. */
export type Found = { readonly revision: number } & (
  | { readonly free: false; readonly lock: Lock | undefined }
  | { readonly free: true; readonly key: FoundKey }
);

export const nothingFound: Found = { revision: 0, free: true, key: { kind: 'nothing' } };

/** The lock in an entry's text; undefined when it is not readable. */
export function lockIn(text: string): Lock | undefined {
  try {
    const parsed = lockSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** @param now the server's clock, in milliseconds */
export function foundIn(message: Pick<StoredMsg, 'header' | 'seq' | 'time' | 'string'>, now: number): Found {
  const { header, seq: revision } = message;
  // the server's note that an entry expired, which a shorter time to live does too
  if (header?.get('Nats-Marker-Reason') === 'MaxAge') return { ...nothingFound, revision };
  const operation = header?.get('KV-Operation');
  if (operation !== 'DEL' && operation !== 'PURGE') return { revision, free: false, lock: lockIn(message.string()) };
  const named = Number(header.get('Nats-Expected-Last-Subject-Sequence'));
  if (operation === 'DEL' && named > 0) return { revision, free: true, key: { kind: 'released' } };
  return { revision, free: true, key: { kind: 'removed', age: now - message.time.getTime() } };
}
