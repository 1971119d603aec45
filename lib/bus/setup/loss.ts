import type { StreamState } from '@nats-io/jetstream';
import type { WantedStream } from './wanted.ts';

/** What a stream holds. */
export type Held = Pick<StreamState, 'messages' | 'bytes' | 'first_ts'>;

/**
 * What a stream holds beyond the bounds that are wanted, in words; undefined where nothing is. The age of a lock is not asked: its holder
 * writes it each 1.5 s, so an older entry has no holder.
 * @param now the server's clock, in milliseconds
 */
export function lossOf({ kind, config }: WantedStream, held: Held, now: number): string | undefined {
  if (held.messages === 0) return undefined;
  const { max_bytes, max_age } = config;
  if (max_bytes > 0 && held.bytes > max_bytes)
    return `it holds ${held.bytes} bytes, and max_bytes would be ${max_bytes}`;
  const ageSeconds = (now - Date.parse(held.first_ts)) / 1000;
  if (kind === 'kv' || max_age <= 0 || ageSeconds <= max_age / 1e9) return undefined;
  return `its oldest message is ${Math.floor(ageSeconds)} s old, and max_age would be ${max_age / 1e9} s`;
}
