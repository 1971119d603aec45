import { z } from 'zod';
import { datasetSchema, guidSchema, hostSchema, idSchema, snapshotSchema } from './names.ts';

/** `zpsend:...`, the tag of a hold. */
const tagSchema = z.string().regex(/^zpsend:[A-Za-z0-9.]{1,64}$/, 'not a tag of zpsend');
/** `pool/dataset#zpsend_...` */
const cursorSchema = z.string().max(255);

/** What a crash left in ZFS, that nothing needs any more, and that the next run may not come by. */
export const leftoverSchema = z.discriminatedUnion('kind', [
  /** A hold of a job that runs no more. */
  z.strictObject({
    kind: z.literal('job-hold'),
    snapshot: snapshotSchema,
    guid: guidSchema,
    tag: tagSchema,
    job: idSchema,
  }),
  /** A receiver's hold on a snapshot in whose place it holds a newer one. */
  z.strictObject({
    kind: z.literal('base-hold'),
    snapshot: snapshotSchema,
    guid: guidSchema,
    tag: tagSchema,
    newer: snapshotSchema,
  }),
  /** A cursor bookmark of a target that has a newer one. */
  z.strictObject({ kind: z.literal('cursor'), bookmark: cursorSchema, guid: guidSchema, newer: cursorSchema }),
]);

/** What nobody mends but a person, if at all. */
const leftoverNoteSchema = z.strictObject({
  /**
   * - `unclear`: it could not be learned which jobs run
   * - `base`: the newest snapshot is not the one that is held
   * - `partial`: an interrupted receive
   * - `delegated`: an ordinary user receives here, and a received program could give itself more rights (openzfs#12218)
   * - `share`: replicas inherit a share
   */
  about: z.enum(['unclear', 'base', 'partial', 'delegated', 'share']),
  dataset: datasetSchema.optional(),
  found: z.string(),
  /** What to do about it. */
  mend: z.string(),
});

export const leftoversRequestSchema = z.strictObject({});

/** The reply of `zfs.<host>.send.leftovers` and `zfs.<host>.recv.leftovers`: what each service knows to tell. */
export const leftoversSchema = z.strictObject({
  host: hostSchema,
  leftovers: z.array(leftoverSchema),
  /** How many more there are than one message may hold. */
  more: z.number().int().nonnegative(),
  notes: z.array(leftoverNoteSchema),
});

/** `zfs.<host>.send.mend` and `zfs.<host>.recv.mend`: exactly these, as they were listed. */
export const mendRequestSchema = z.strictObject({ leftovers: z.array(leftoverSchema).max(1000) });

export const unmendedSchema = z.strictObject({ leftover: leftoverSchema, why: z.string() });

export const mendedSchema = z.strictObject({
  host: hostSchema,
  mended: z.array(leftoverSchema),
  /** Those that were left as they are. */
  unmended: z.array(unmendedSchema),
});

export type Leftover = z.infer<typeof leftoverSchema>;
export type LeftoverNote = z.infer<typeof leftoverNoteSchema>;
export type Leftovers = z.infer<typeof leftoversSchema>;
export type Mended = z.infer<typeof mendedSchema>;
