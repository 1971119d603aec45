import { JetStreamApiError } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { Lock } from '../../../schemas/transfer.ts';
import { timing } from '../../time/timing.ts';
import { type JetStreamAt, jetStreamOf, managerOf } from '../jetstream/jetstream.ts';
import { keySubject, locksBucket } from '../subjects.ts';
import { type Found, foundIn, nothingFound } from './found.ts';
import type { OwnWrites } from './own-writes.ts';

/** Entries of the bucket of locks, each change by the revision that it replaces. */
export interface LockEntries {
  /** @param revision what is replaced; 0 where nothing is there. @returns the new revision. @throws as JetStream fails */
  put(key: string, lock: Lock, revision: number, ms?: number): Promise<number>;
  /**
   * Removes the entry if it still has that revision; false without an answer. A delete marker that names the revision shows the next holder of the
   * lock that its holder released it (`found.ts`); a purge marker does not.
   */
  remove(key: string, revision: number, as: 'released' | 'removed'): Promise<boolean>;
  /** @param now the server's clock, in milliseconds; a marker is as good as new without. @throws as JetStream fails */
  read(key: string, now?: number): Promise<Found>;
}

export function openEntries(at: JetStreamAt, own: OwnWrites): LockEntries {
  const client = jetStreamOf(at, timing.locks.answerMs);
  const publish = async (
    ...[key, text, options]: [string, string, { revision: number; ms?: number; marks?: string[][] }]
  ) => {
    const marked = headers();
    for (const [name = '', value = ''] of options.marks ?? []) marked.set(name, value);
    const { seq } = await client.publish(keySubject(locksBucket, key), text, {
      headers: marked,
      timeout: options.ms ?? timing.locks.answerMs,
      expect: { lastSubjectSequence: options.revision },
    });
    own.note(seq);
    return seq;
  };
  return {
    put: (key, lock, revision, ms = timing.locks.answerMs) => publish(key, JSON.stringify(lock), { revision, ms }),
    remove(key, revision, as) {
      // no Nats-Rollup with a purge: the bucket refuses it, and has no history
      const marks = [['KV-Operation', as === 'released' ? 'DEL' : 'PURGE']];
      return publish(key, '', { revision, marks }).then(
        () => true,
        (error) => error instanceof JetStreamApiError,
      );
    },
    async read(key, now = 0) {
      const { streams } = await managerOf(at, timing.locks.answerMs);
      const message = await streams.getMessage(`KV_${locksBucket}`, { last_by_subj: keySubject(locksBucket, key) });
      return message ? foundIn(message, now) : nothingFound;
    },
  };
}
