import { ZpsendError } from '../../../schemas/errors.ts';
import { poolOf } from '../../../schemas/names.ts';
import type { Note } from '../../../schemas/plan.ts';

/** Does ZFS refuse it because the pool is imported read-only? Such a pool gets no marks, and nothing in it can be destroyed. */
export const isReadOnly = (thrown: unknown): boolean => ZpsendError.from(thrown).code === 'READ_ONLY';

/** @param name a dataset or a snapshot of the source */
export function readOnlyNote(name: string, host: string): Note {
  const pool = poolOf(name);
  const message =
    `pool ${pool} on ${host} is imported read-only, so its snapshots get no holds and no cursor bookmarks. ` +
    'Nothing can be destroyed in it';
  return { kind: 'read-only-source', dataset: pool, message };
}
