import { z } from 'zod';
import { conflictResolutionSchema } from './conflict.ts';
import { errorBodySchema } from './errors.ts';
import { keyWrappingSchema } from './inventory.ts';
import {
  bytesSchema,
  datasetSchema,
  guidSchema,
  hostSchema,
  leafSchema,
  snapshotSchema,
  wouldBeDatasetSchema,
} from './names.ts';
import { streamFlagSchema, streamMarkSchema } from './stream.ts';

/** One `zfs send` | `zfs receive`: a full stream, or an incremental from exactly one base (I2). */
export const stepSchema = z.strictObject({
  type: z.enum(['full', 'incremental']),
  /** The source snapshot. */
  to: z.strictObject({ name: snapshotSchema, guid: guidSchema }),
  /** The source's base, a snapshot (`pool/a@x`) or a bookmark (`pool/a#x`); absent for a full stream. */
  from: z.strictObject({ name: z.string(), guid: guidSchema, kind: z.enum(['snapshot', 'bookmark']) }).optional(),
  /** The dataset that receives it. */
  targetDataset: datasetSchema,
  /** Set when the target is created as a clone: the target's snapshot that has the guid of `from`. */
  origin: snapshotSchema.optional(),
  /** Parents of `targetDataset` that the receiver creates first, empty and never mounted; topmost first. */
  parents: z.array(datasetSchema).optional(),
  /** Flags of `zfs send`, in the order of their schema; absent when none. */
  flags: z.array(streamFlagSchema).optional(),
  /** Set if the step creates its dataset: the initial flags, which the target stores. */
  record: streamMarkSchema.optional(),
  /** What wraps the key in a raw stream, as listed on the source; the target's dataset takes it over. */
  wrapping: keyWrappingSchema.optional(),
  /** What wraps the key on the target before this step, of its dataset or of a clone's origin; the target refuses any other. */
  replaces: keyWrappingSchema.optional(),
  /** The encryption root of the dataset that receives it. */
  encryptionRoot: datasetSchema.optional(),
  /** The conflict resolution that the receiver does first; only in a dataset's first step. */
  before: conflictResolutionSchema.optional(),
  /** A volume, not a filesystem. */
  volume: z.literal(true).optional(),
  /** Estimated bytes of the stream. */
  size: bytesSchema.optional(),
});

/** Why a plan is refused: the common snapshot, and those that only one side has. Names without the dataset. */
export const evidenceSchema = z.strictObject({
  newestCommon: leafSchema.nullable(),
  sourceOnly: z.array(leafSchema),
  targetOnly: z.array(leafSchema),
  /** Bytes written on the target since its newest snapshot; absent if there are none, or the number is unknown. */
  modified: bytesSchema.optional(),
});

/** A dataset of a package that cannot be sent, although others can. */
const refusedSchema = z.strictObject({
  dataset: datasetSchema,
  targetDataset: wouldBeDatasetSchema,
  error: errorBodySchema,
  evidence: evidenceSchema.optional(),
});

/** A note for people about a plan. */
export const noteSchema = z.strictObject({
  /**
   * - `skipped`: the dataset is skipped
   * - `unmatched`: a pattern excludes nothing
   * - `placeholder`: the receiver creates a missing parent, empty and never mounted
   * - `in-the-clear`: encrypted data will be unencrypted on the target, as requested
   * - `encryption-root`: a dataset that inherits its key on the source needs a separate key on the target, or cannot be opened there
   * - `modified`: the target was written to since its newest snapshot, and may refuse the next one
   * - `rollback`: the target is rolled back to a snapshot, and newer ones are destroyed
   * - `rename`: a dataset of the target is renamed
   * - `unseen`: the target does not answer, and its state is unknown
   * - `store-blocked`: the target cannot receive its stored streams
   * - `vanished`: a planned snapshot is gone from the source, and was not sent
   * - `read-only-source`: the source's pool is imported read-only, so there are neither holds nor cursors
   * - `features`: the target's pool lacks a feature that streams may need
   * - `unknown-beginning`: large blocks are requested, and it is unknown whether the chain started with them
   * - `unchecked`: it is unknown whether the target's receiver allows it
   */
  kind: z.enum([
    'skipped',
    'unmatched',
    'placeholder',
    'in-the-clear',
    'encryption-root',
    'modified',
    'rollback',
    'rename',
    'unseen',
    'store-blocked',
    'vanished',
    'read-only-source',
    'features',
    'unknown-beginning',
    'unchecked',
  ]),
  /** On the source; for `placeholder`, `modified`, `rollback`, `rename` and `store-blocked` on the target. */
  dataset: datasetSchema,
  message: z.string(),
});

export const planSchema = z.union([
  z.strictObject({
    ok: z.literal(true),
    steps: z.array(stepSchema),
    refused: z.array(refusedSchema).optional(),
    notes: z.array(noteSchema).optional(),
  }),
  z.strictObject({ ok: z.literal(false), error: errorBodySchema, evidence: evidenceSchema.optional() }),
]);

/** A whole plan, as `zpsend plan --json` prints it. */
export const planReplySchema = z.strictObject({
  sourceHost: hostSchema,
  targetHost: hostSchema,
  /** The target does not answer, or has stored streams: it will fetch this from the store. */
  channel: z.literal('store').optional(),
  /** Where the target lacks space for the plan, according to both listings; this is only a warning. */
  shortages: z.array(errorBodySchema).optional(),
  plan: planSchema,
});

/** One reply of `zfs.<host>.send.plan`: a plan has one or more parts, and ends with an empty message. */
export const planPartSchema = planReplySchema.extend({
  /** From 1. */
  part: z.number().int().positive(),
  /** Another part follows. */
  more: z.boolean(),
});

export type Step = z.infer<typeof stepSchema>;
export type Evidence = z.infer<typeof evidenceSchema>;
export type Refused = z.infer<typeof refusedSchema>;
export type Note = z.infer<typeof noteSchema>;
export type Plan = z.infer<typeof planSchema>;
export type PlanReply = z.infer<typeof planReplySchema>;
export type PlanPart = z.infer<typeof planPartSchema>;
