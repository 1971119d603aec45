import { ZpsendError } from '../../../schemas/errors.ts';
import { poolOf } from '../../../schemas/names.ts';
import type { Note } from '../../../schemas/plan.ts';

/** Does ZFS refuse it because the pool is imported read-only? Then there are no new marks, and nothing can go that they would keep. */
export const isReadOnly = (thrown: unknown): boolean => ZpsendError.from(thrown).code === 'READ_ONLY';

/** @param name what is sent, a dataset or a snapshot of the source */
export function readOnlyNote(name: string, host: string): Note {
  const pool = poolOf(name);
  const message =
    `pool ${pool} on ${host} is imported read-only, so what is sent has no holds and no cursor bookmarks; ` +
    'nothing can destroy it there meanwhile';
  return { kind: 'read-only-source', dataset: pool, message };
}
