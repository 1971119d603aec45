import { z } from 'zod';
import { conflictPolicySchema } from './conflict.ts';
import { baseSchema, datasetOrSnapshotSchema, datasetSchema, hostSchema, patternSchema, placeSchema } from './names.ts';
import { propertyWishesSchema } from './properties.ts';
import { streamWishSchema } from './stream.ts';
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

export type Target = z.infer<typeof targetSchema>;
export type SendRequest = z.infer<typeof sendRequestSchema>;
export type SendStart = z.infer<typeof sendStartSchema>;
