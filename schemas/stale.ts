import { z } from 'zod';
import { datasetSchema, guidSchema, hostSchema, idSchema, snapshotSchema } from './names.ts';

/** `zpsend:...`, the tag of a hold. */
const tagSchema = z.string().regex(/^zpsend:[A-Za-z0-9.]{1,64}$/, 'not a hold tag of zpsend');
/** `pool/dataset#zpsend_...` */
const cursorSchema = z.string().max(255);

/** A mark that a crash left in ZFS, that nothing needs, and that the next run may not remove. */
export const staleMarkSchema = z.discriminatedUnion('kind', [
  /** A hold of a job that has ended. */
  z.strictObject({
    kind: z.literal('step-hold'),
    snapshot: snapshotSchema,
    guid: guidSchema,
    tag: tagSchema,
    job: idSchema,
  }),
  /** A receiver's hold on an old snapshot, although it also holds a newer one. */
  z.strictObject({
    kind: z.literal('last-received-hold'),
    snapshot: snapshotSchema,
    guid: guidSchema,
    tag: tagSchema,
    newer: snapshotSchema,
  }),
  /** A cursor bookmark of a target that has a newer one. */
  z.strictObject({ kind: z.literal('cursor'), bookmark: cursorSchema, guid: guidSchema, newer: cursorSchema }),
]);

/** A problem that only a person can repair. */
const staleNoteSchema = z.strictObject({
  /**
   * - `unclear`: the running jobs are unknown
   * - `base`: another snapshot than the newest is held
   * - `partial`: an interrupted receive
   * - `delegated`: an ordinary user receives here, so a received setuid program could gain privileges (openzfs#12218)
   * - `share`: replicas inherit a share
   */
  about: z.enum(['unclear', 'base', 'partial', 'delegated', 'share']),
  dataset: datasetSchema.optional(),
  found: z.string(),
  /** What to do about it. */
  remedy: z.string(),
});

export const staleRequestSchema = z.strictObject({});

/** The reply of `zfs.<host>.send.stale` and `zfs.<host>.recv.stale`: the stale marks that the service knows. */
export const staleMarksSchema = z.strictObject({
  host: hostSchema,
  staleMarks: z.array(staleMarkSchema),
  /** The number of further marks that do not fit in one message. */
  more: z.number().int().nonnegative(),
  notes: z.array(staleNoteSchema),
});

/** `zfs.<host>.send.repair` and `zfs.<host>.recv.repair`: repairs exactly these marks, as listed. */
export const repairRequestSchema = z.strictObject({ staleMarks: z.array(staleMarkSchema).max(1000) });

export const notRepairedSchema = z.strictObject({ staleMark: staleMarkSchema, why: z.string() });

export const repairedSchema = z.strictObject({
  host: hostSchema,
  repaired: z.array(staleMarkSchema),
  /** The marks that were not changed. */
  notRepaired: z.array(notRepairedSchema),
});

export type StaleMark = z.infer<typeof staleMarkSchema>;
export type StaleNote = z.infer<typeof staleNoteSchema>;
export type StaleMarks = z.infer<typeof staleMarksSchema>;
export type Repaired = z.infer<typeof repairedSchema>;
