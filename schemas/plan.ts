import { z } from 'zod';
import { clearingSchema, conflictPolicySchema } from './conflict.ts';
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

/** Where a dataset goes. */
export const targetSchema = z.strictObject({
  host: hostSchema,
  /** The dataset on the target; the same name when absent. */
  dataset: datasetSchema.optional(),
  /**
   * Below `dataset` instead of as `dataset`, as zfs-receive(8) has it: `path` (`-d`) appends the source's name without
   * its pool, `last` (`-e`) the last element of it.
   */
  append: z.enum(['path', 'last']).optional(),
});

/** `HOST`, or `HOST:pool/dataset`, as the command line has it; or a target in full. */
export const targetOrPlace = z.union([
  placeSchema.transform((place): z.output<typeof targetSchema> => {
    const [host = '', dataset] = place.split(/:(.*)/s, 2);
    return { host, ...(dataset && { dataset }) };
  }),
  targetSchema,
]);

/** Targets of one request. */
export const maxTargets = 16;

/** What is to be sent, and where it goes: one dataset, or a package of a dataset and its descendants. */
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
  /** A clone whose origin is not sent along is sent as a full stream (`-c`). */
  selfContained: z.boolean().optional(),
  /** Datasets of the package that lack the named snapshot are left out, with their descendants; else they are an error. */
  skipMissing: z.boolean().optional(),
  /** Patterns of datasets that are left out, with their descendants; of the whole name, or of what follows the package's own. */
  exclude: z.array(patternSchema).max(maxPatterns).optional(),
  /** Patterns of snapshot names: of the intermediate snapshots only those that match one are sent. */
  snapshots: z.array(patternSchema).max(maxPatterns).optional(),
  /** Datasets of the package that are sent at once. */
  parallel: z.number().int().min(1).max(maxParallel).optional(),
  /** What the whole job may send at most, in bytes per second on the wire. */
  bwlimit: rate.optional(),
  /** Flags of the streams; absent, they are chosen. */
  stream: streamWishSchema.optional(),
  /** What may be done to what stands in the way on the target; nothing when absent. Its receiver has to allow it too. */
  conflict: conflictPolicySchema.optional(),
  /** Whether streams are compressed on their way. */
  compression: compressionModeSchema.optional(),
  /** By which channel streams go. */
  channel: channelSchema.optional(),
  /** Of what arrives, within what the receiver allows. */
  properties: propertyWishesSchema.optional(),
});

/** As a job has it: what was written in another form is settled. */
export const settledRequestSchema = sendRequestSchema.extend({
  to: targetSchema,
  bwlimit: z.number().int().min(1024).optional(),
});

/** `zfs.<host>.send.start`: a job for each target; what several of them need next is read once. */
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
  /** Parents of `target` that the receiver makes first, empty and never mounted; topmost first. */
  parents: z.array(datasetSchema).optional(),
  /** Flags of `zfs send`, in the order of their schema; absent when none. */
  flags: z.array(streamFlagSchema).optional(),
  /** Set where the step makes its dataset: what its chain began with, for the target to remember. */
  record: streamMarkSchema.optional(),
  /** What wraps the key that a raw stream brings, as the source was listed: the target's dataset takes it over. */
  wrapping: keyWrappingSchema.optional(),
  /** What wraps the key on the target until this arrives, of its dataset or of a clone's origin; where that is another one it is refused. */
  replaces: keyWrappingSchema.optional(),
  /** The target's dataset that the one it is received into takes its key from. */
  encryptionRoot: datasetSchema.optional(),
  /** What the receiver does to the target first, by the request's conflict policy; only of a dataset's first step. */
  before: clearingSchema.optional(),
  /** A volume, and not a filesystem. */
  volume: z.literal(true).optional(),
  /** Estimated bytes of the stream. */
  size: bytesSchema.optional(),
});

/** Why a plan is refused: what both have, and what only one has. Snapshot names without their dataset. */
export const evidenceSchema = z.strictObject({
  newestCommon: leafSchema.nullable(),
  sourceOnly: z.array(leafSchema),
  targetOnly: z.array(leafSchema),
  /** Bytes written on the target since its newest snapshot; absent where there are none, or that is unknown. */
  modified: bytesSchema.optional(),
});

/** A dataset of a package that cannot be sent, while others can. */
const refusedSchema = z.strictObject({
  dataset: datasetSchema,
  targetDataset: wouldBeDatasetSchema,
  error: errorBodySchema,
  evidence: evidenceSchema.optional(),
});

/** What a person should know of a package before it runs. */
export const noteSchema = z.strictObject({
  /**
   * - `skipped`: the dataset is left out
   * - `unmatched`: a pattern that excludes nothing
   * - `placeholder`: a parent that the target lacks is made, empty and never mounted
   * - `in-the-clear`: encrypted data will lie unencrypted, as was asked for
   * - `encryption-root`: what inherits its key at the source will need a separate key on the target, or cannot be opened there
   * - `modified`: the target was written to since its newest snapshot, and may refuse its next
   * - `rollback`: the target goes back to a snapshot, and what is newer there is destroyed
   * - `rename`: a dataset of the target is renamed
   * - `unseen`: the target does not answer, and it is unknown what it has
   * - `held`: what waits in the store for the target is not taken there
   * - `vanished`: what was planned is gone from the source, and was not sent
   * - `read-only-source`: the source's pool is imported read-only, and what is sent has neither holds nor cursors
   * - `features`: the target's pool lacks a feature that streams may need
   * - `unknown-beginning`: large blocks are asked for, and it is unknown whether the target's dataset began with them
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
    'held',
    'vanished',
    'read-only-source',
    'features',
    'unknown-beginning',
    'unchecked',
  ]),
  /** On the source; of a placeholder, a modified one, a rollback, a rename and a held one, on the target. */
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
  /** The target does not answer, or something waits for it in the store: it will fetch this there. */
  channel: z.literal('store').optional(),
  /** Where the target has not the room for what is planned, as far as both listings show; nothing is refused for it. */
  shortages: z.array(errorBodySchema).optional(),
  plan: planSchema,
});

/** One reply of `zfs.<host>.send.plan`: a plan comes in as many as it needs, and ends with an empty message. */
export const planPartSchema = planReplySchema.extend({
  /** From 1. */
  part: z.number().int().positive(),
  /** Another part follows: these are not all steps. */
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
