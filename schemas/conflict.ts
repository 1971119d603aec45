import { z } from 'zod';
import { datasetSchema, guidSchema, leafSchema, snapshotSchema } from './names.ts';

/**
 * What may be done to a target that stands in the way of a plan.
 * - `refuse`: nothing
 * - `rollback`: to the newest common snapshot; what is newer there is destroyed, and only what the plan lists
 * - `rotate`: it is renamed and received anew, as a clone of the common snapshot where there is one; nothing is lost
 */
export const conflictPolicySchema = z.enum(['refuse', 'rollback', 'rotate']);

/** What a request must allow before a receiver does it. */
export const allowedConflictSchema = conflictPolicySchema.exclude(['refuse']);

/** Snapshots that one rollback destroys at most: all or none of them, in one `zfs destroy`, whose argument Linux lets be 128 KiB long. */
export const maxDestroys = 400;

const namedSchema = z.strictObject({ name: leafSchema, guid: guidSchema });

const ended = ':done';

/** What a rollback leaves at its dataset: its transfer, and that it has ended once it has. */
export const rollbackMarkSchema = z
  .string()
  .regex(new RegExp(`^[A-Za-z0-9]{6,32}(?:${ended})?$`), 'not a mark of a rollback');

/** The mark of a rollback that this transfer has brought to its end, or knows nothing of. */
export const endedMark = (transfer: string): string => `${transfer}${ended}`;

/** The end of that rollback is unknown: it may be done, or be done yet by a command that outlived its receiver. */
export const isUnderWay = (mark: string | undefined): boolean => mark !== undefined && !mark.endsWith(ended);

const rollbackSchema = z.strictObject({
  kind: z.literal('rollback'),
  /** Of the dataset that goes back. */
  guid: guidSchema,
  /** The target's snapshot that becomes its newest. */
  to: z.strictObject({ name: snapshotSchema, guid: guidSchema }),
  /** All that is newer, oldest first, by names without their dataset; none where only something was written since. */
  destroys: z.array(namedSchema).max(maxDestroys),
  /** The target's own cursor bookmarks that are newer, by names without their dataset: ZFS goes back over no bookmark. */
  cursors: z.array(namedSchema).max(maxDestroys).optional(),
  /** Bytes written there since its newest snapshot, where there are any: no more may be lost. */
  written: z.number().int().positive().optional(),
  /** The target's `rolledBack` when this was planned: what another rollback has left since then, this one knows nothing of. */
  after: rollbackMarkSchema.optional(),
});

const renameSchema = z.strictObject({
  kind: z.literal('rename'),
  from: datasetSchema,
  to: datasetSchema,
  /** Of the dataset that is renamed. */
  guid: guidSchema,
});

/** What is done to the target before the first step of a dataset's chain is received. */
export const clearingSchema = z.discriminatedUnion('kind', [rollbackSchema, renameSchema]);

export type AllowedConflict = z.infer<typeof allowedConflictSchema>;
export type Rollback = z.infer<typeof rollbackSchema>;
export type Rename = z.infer<typeof renameSchema>;
export type Clearing = z.infer<typeof clearingSchema>;
