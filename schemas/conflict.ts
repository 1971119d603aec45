import { z } from 'zod';
import { datasetSchema, guidSchema, leafSchema, snapshotSchema } from './names.ts';

/**
 * What may be done to a diverged target.
 * - `refuse`: nothing
 * - `rollback`: roll back to the newest common snapshot; this destroys the newer snapshots that the plan lists, and no others
 * - `rotate`: rename it and receive it again, as a clone of the common snapshot if there is one; nothing is lost
 */
export const conflictPolicySchema = z.enum(['refuse', 'rollback', 'rotate']);

/** The policies that a request must allow before a receiver applies them. */
export const allowedConflictSchema = conflictPolicySchema.exclude(['refuse']);

/** The most snapshots that one rollback destroys. One `zfs destroy` destroys all or none; Linux limits its argument to 128 KiB. */
export const maxDestroys = 400;

const namedSchema = z.strictObject({ name: leafSchema, guid: guidSchema });

const ended = ':done';

/** The mark that a rollback leaves on its dataset: its transfer, and whether it has ended. */
export const rollbackMarkSchema = z
  .string()
  .regex(new RegExp(`^[A-Za-z0-9]{6,32}(?:${ended})?$`), 'not a rollback mark');

/** The mark of a transfer whose rollback has ended, or was refused since an earlier one may still run. */
export const endedMark = (transfer: string): string => `${transfer}${ended}`;

/** Is the end of that rollback unknown? A command that outlived its receiver may still run it. */
export const isUnderWay = (mark: string | undefined): boolean => mark !== undefined && !mark.endsWith(ended);

const rollbackSchema = z.strictObject({
  kind: z.literal('rollback'),
  /** The guid of the dataset that is rolled back. */
  guid: guidSchema,
  /** The target's snapshot that becomes its newest. */
  to: z.strictObject({ name: snapshotSchema, guid: guidSchema }),
  /** All newer snapshots, oldest first, without the dataset's name; empty if the target was only written to. */
  destroys: z.array(namedSchema).max(maxDestroys),
  /** The target's newer cursors, without the dataset's name: ZFS does not roll back past a bookmark. */
  cursors: z.array(namedSchema).max(maxDestroys).optional(),
  /** Bytes written to the target since its newest snapshot, if any; the rollback may discard no more. */
  written: z.number().int().positive().optional(),
  /** The target's `rolledBack` when this was planned, which shows whether another rollback has run since. */
  after: rollbackMarkSchema.optional(),
});

const renameSchema = z.strictObject({
  kind: z.literal('rename'),
  from: datasetSchema,
  to: datasetSchema,
  /** The guid of the renamed dataset. */
  guid: guidSchema,
});

/** The conflict resolution on the target before the first step of a chain is received. */
export const conflictResolutionSchema = z.discriminatedUnion('kind', [rollbackSchema, renameSchema]);

export type AllowedConflict = z.infer<typeof allowedConflictSchema>;
export type Rollback = z.infer<typeof rollbackSchema>;
export type Rename = z.infer<typeof renameSchema>;
export type ConflictResolution = z.infer<typeof conflictResolutionSchema>;
