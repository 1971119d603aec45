import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import {
  baseSchema,
  bytesSchema,
  datasetOrSnapshotSchema,
  datasetSchema,
  guidSchema,
  hostSchema,
  leafSchema,
  snapshotSchema,
} from './names.ts';

/** `zones/test`, `zones/test@now`, `-i @a zones/test@b` or `--full zones/test@b`, and where it goes. */
export const sendRequestSchema = z.strictObject({
  /** `pool/dataset` or `pool/dataset@snapshot` on the source. */
  dataset: datasetOrSnapshotSchema,
  to: z.strictObject({
    host: hostSchema,
    /** The dataset on the target; the same name when absent. */
    dataset: datasetSchema.optional(),
  }),
  /** Exactly one incremental from this base (`@snapshot` or `#bookmark`); needs a snapshot in `dataset`. */
  from: baseSchema.optional(),
  /** Exactly one full stream; needs a snapshot in `dataset`. */
  full: z.boolean().optional(),
});

/** One `zfs send` | `zfs receive`: a full stream, or an incremental from exactly one base (I2). */
export const stepSchema = z.strictObject({
  type: z.enum(['full', 'incremental']),
  /** The source snapshot. */
  to: z.strictObject({ name: snapshotSchema, guid: guidSchema }),
  /** The source's base, a snapshot (`pool/a@x`) or a bookmark (`pool/a#x`); absent for a full stream. */
  from: z.strictObject({ name: z.string(), guid: guidSchema, kind: z.enum(['snapshot', 'bookmark']) }).optional(),
  /** The dataset that receives it. */
  target: datasetSchema,
  /** Set when the target is created as a clone: the target's snapshot that has the guid of `from`. */
  origin: snapshotSchema.optional(),
  /** Estimated bytes of the stream. */
  size: bytesSchema.optional(),
});

/** Why a plan is refused: what both have, and what only one has. Snapshot names without their dataset. */
export const evidenceSchema = z.strictObject({
  newestCommon: leafSchema.nullable(),
  sourceOnly: z.array(leafSchema),
  targetOnly: z.array(leafSchema),
});

export const planSchema = z.union([
  z.strictObject({ ok: z.literal(true), steps: z.array(stepSchema) }),
  z.strictObject({ ok: z.literal(false), error: errorBodySchema, evidence: evidenceSchema.optional() }),
]);

/** The reply of `zfs.<host>.send.plan` and of `zpsend plan --json`. */
export const planReplySchema = z.strictObject({ source: hostSchema, target: hostSchema, plan: planSchema });

export type SendRequest = z.infer<typeof sendRequestSchema>;
export type Step = z.infer<typeof stepSchema>;
export type Evidence = z.infer<typeof evidenceSchema>;
export type Plan = z.infer<typeof planSchema>;
export type PlanReply = z.infer<typeof planReplySchema>;
