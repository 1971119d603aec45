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
  host: hostSchema.meta({ description: 'The target host.' }),
  dataset: datasetSchema
    .optional()
    .meta({ description: 'The dataset on the target. Without it: the name on the source.' }),
  append: z
    .enum(['path', 'last'])
    .optional()
    .meta({
      description:
        "Receive below `dataset`, not as `dataset`. `path` appends the source's name without its pool (`zfs receive -d`). " +
        '`last` appends only its last element (`zfs receive -e`).',
    }),
});

/** `HOST`, or `HOST:pool/dataset`, as on the command line; or a target in full. */
export const targetOrPlace = z
  .union([
    placeSchema.transform((place): z.output<typeof targetSchema> => {
      const [host = '', dataset] = place.split(/:(.*)/s, 2);
      return { host, ...(dataset && { dataset }) };
    }),
    targetSchema,
  ])
  .meta({ title: 'HOST, HOST:DATASET or {host, dataset, append}' });

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
  selfContained: z.boolean().optional().meta({
    description: 'Send a clone as a full stream if its origin is not sent, as option `-c` of `zpsend send`.',
  }),
  /** Datasets of the package that lack the named snapshot are skipped, with their descendants; else they are an error. */
  skipMissing: z.boolean().optional(),
  exclude: z.array(patternSchema).max(maxPatterns).optional().meta({
    description:
      'Datasets to skip, with their descendants. A pattern matches the whole name, or its part below the sent dataset.',
  }),
  snapshots: z.array(patternSchema).max(maxPatterns).optional().meta({
    description: 'Which intermediate snapshots to send: those whose name matches a pattern. Without it: all.',
  }),
  parallel: z.number().int().min(1).max(maxParallel).optional().meta({
    description: 'How many datasets of the package are sent at once. Without it: `send.parallel`.',
  }),
  bwlimit: rate.optional().meta({
    description: 'The limit of the whole job, in bytes per second as transmitted. Without it: no limit.',
  }),
  stream: streamWishSchema.optional().meta({
    description: 'Flags of the streams. Absent flags follow from what both pools support.',
  }),
  conflict: conflictPolicySchema.optional().meta({
    description:
      'What may be done to a diverged target. `refuse`: nothing (default). `rollback`: roll back to the newest common snapshot. ' +
      "`rotate`: rename the target and start again. The target's `receive.allow` must allow it too.",
  }),
  compression: compressionModeSchema.optional().meta({
    description: 'Whether streams are compressed in transit. Without it: `send.compression`.',
  }),
  channel: channelSchema.optional().meta({
    description: 'How the streams reach the target. Without it: `send.channel`.',
  }),
  properties: propertyWishesSchema.optional().meta({
    description: 'Properties of the received datasets, within what the receiver allows.',
  }),
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
