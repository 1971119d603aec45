import { z } from 'zod';
import { conflictResolutionSchema, conflictPolicySchema } from './conflict.ts';
import { errorBodySchema } from './errors.ts';
import { keyWrappingSchema } from './inventory.ts';
import {
  baseSchema,
  bytesSchema,
  datasetOrSnapshotSchema,
  datasetSchema,
  guidSchema,
  hostSchema,
  leafSchema,
  patternSchema,
  placeSchema,
  snapshotSchema,
  wouldBeDatasetSchema,
} from './names.ts';
import { propertyWishesSchema } from './properties.ts';
import { streamFlagSchema, streamMarkSchema, streamWishSchema } from './stream.ts';
import { channelSchema, compressionModeSchema } from './transfer.ts';
import { rate } from './units.ts';

const maxPatterns = 32;
export const maxParallel = 16;

/** `replication` is `-R`, every snapshot up to the one named; `recursive` is `-r`, only that one and origins of clones. */
const packageSchema = z.enum(['replication', 'recursive']);

/** The target of a dataset. */
export const targetSchema = z.strictObject({
  host: hostSchema,
  /** The dataset on the target; the same name when absent. */
  dataset: datasetSchema.optional(),
  /**
   * Receive below `dataset` instead of as `dataset`, as in zfs-receive(8): `path` (`-d`) appends the source's name without its pool,
   * `last` (`-e`) only its last element.
   */
  append: z.enum(['path', 'last']).optional(),
});

/** `HOST`, or `HOST:pool/dataset`, as on the command line; or a target in full. */
export const targetOrPlace = z.union([
  placeSchema.transform((place): z.output<typeof targetSchema> => {
    const [host = '', dataset] = place.split(/:(.*)/s, 2);
    return { host, ...(dataset && { dataset }) };
  }),
  targetSchema,
]);

/** The most targets of one request. */
export const maxTargets = 16;

/** A request to send one dataset, or a package of a dataset and its descendants, to a target. */
export const sendRequestSchema = z.strictObject({
  /** `pool/dataset` or `pool/dataset@snapshot` on the source. */
  dataset: datasetOrSnapshotSchema,
  to: targetOrPlace,
  /** Exactly one incremental from this base (`@snapshot` or `#bookmark`); needs a snapshot in `dataset`. */
  from: baseSchema.optional(),
  /** Exactly one full stream; needs a snapshot in `dataset`. */
  full: z.boolean().optional(),
  /** With descendants. */
  package: packageSchema.optional(),
  /** A clone whose origin is not in the request is sent as a full stream (`-c`). */
  selfContained: z.boolean().optional(),
  /** Datasets of the package that lack the named snapshot are skipped, with their descendants; else they are an error. */
  skipMissing: z.boolean().optional(),
  /** Patterns of datasets that are skipped, with their descendants; of the whole name, or of its part below the package. */
  exclude: z.array(patternSchema).max(maxPatterns).optional(),
  /** Patterns of snapshot names: only intermediate snapshots that match one are sent. */
  snapshots: z.array(patternSchema).max(maxPatterns).optional(),
  /** How many datasets of the package are sent at once. */
  parallel: z.number().int().min(1).max(maxParallel).optional(),
  /** The limit of the whole job, in bytes per second as transmitted. */
  bwlimit: rate.optional(),
  /** Flags of the streams; chosen when absent. */
  stream: streamWishSchema.optional(),
  /** What may be done to a diverged target; nothing when absent. Its receiver has to allow it too. */
  conflict: conflictPolicySchema.optional(),
  /** Whether streams are compressed in transit. */
  compression: compressionModeSchema.optional(),
  /** The channel of the streams. */
  channel: channelSchema.optional(),
  /** The properties of the received datasets, within the limits of the receiver. */
  properties: propertyWishesSchema.optional(),
});

/** The request of a job, with all short forms resolved. */
export const settledRequestSchema = sendRequestSchema.extend({
  to: targetSchema,
  bwlimit: z.number().int().min(1024).optional(),
});

/** `zfs.<host>.send.start`: a job for each target; a step that several of them need is read once. */
export const sendStartSchema = sendRequestSchema.extend({
  to: z.union([targetOrPlace, z.array(targetOrPlace).min(1).max(maxTargets)]),
});

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

export type Target = z.infer<typeof targetSchema>;
export type SendRequest = z.infer<typeof sendRequestSchema>;
export type SendStart = z.infer<typeof sendStartSchema>;
export type Step = z.infer<typeof stepSchema>;
export type Evidence = z.infer<typeof evidenceSchema>;
export type Refused = z.infer<typeof refusedSchema>;
export type Note = z.infer<typeof noteSchema>;
export type Plan = z.infer<typeof planSchema>;
export type PlanReply = z.infer<typeof planReplySchema>;
export type PlanPart = z.infer<typeof planPartSchema>;
