import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { datasetSchema, hostSchema, wouldBeDatasetSchema } from './names.ts';
import { maxTargets, sendRequestSchema, targetOrPlace } from './request.ts';
import { flag } from './units.ts';

/** The most policies of one host, and of all hosts in the bucket of policies. */
export const maxPolicies = 256;
export const maxPoliciesOfAll = 1024;

const { selfContained, exclude, snapshots, parallel, bwlimit, stream, conflict, compression, channel, properties } =
  sendRequestSchema.shape;

/**
 * A rule that sends a dataset to its targets when it has a new snapshot: `send.policies` of the configuration file, or a value of the
 * bucket `zfs-policies` with the key `<host>.<name>`. Absent fields have the defaults of a request.
 */
export const policySchema = z.strictObject({
  dataset: datasetSchema.meta({ description: 'The dataset to send.' }),
  recursive: flag.optional().meta({ description: 'With all descendants.' }),
  package: z.literal('replication').optional().meta({ description: 'The same as `recursive: on`.' }),
  to: z.union([targetOrPlace.transform((target) => [target]), z.array(targetOrPlace).min(1).max(maxTargets)]).meta({
    title: `HOST, HOST:DATASET or {host, dataset, append}; or a list of at most ${maxTargets}`,
    description: 'The targets. A stream that several targets need is read once.',
  }),
  selfContained,
  exclude,
  snapshots,
  parallel,
  bwlimit,
  stream,
  conflict,
  compression,
  channel,
  properties,
});

/** An active policy of a sender, with the state of each target. */
const policyStatusSchema = z.strictObject({
  /** `send.policies.<n>` of the file, or the key in the bucket. */
  name: z.string(),
  dataset: datasetSchema,
  recursive: z.boolean(),
  targets: z.array(
    z.strictObject({
      host: hostSchema,
      dataset: wouldBeDatasetSchema,
      /** `elsewhere`: a job of another sender on this host does it; `waiting`: it failed and will be retried. */
      state: z.enum(['resting', 'settling', 'running', 'elsewhere', 'waiting']),
      /** The error of its last run. */
      error: errorBodySchema.optional(),
    }),
  ),
});

/** `zfs.<host>.send.policies` */
export const policiesRequestSchema = z.strictObject({});

/** The reply of `zfs.<host>.send.policies`. */
export const policiesSchema = z.strictObject({
  host: hostSchema,
  policies: z.array(policyStatusSchema),
  /** Policies that are not active, and why. */
  refused: z.array(z.strictObject({ name: z.string(), why: z.string() })),
});

export type PolicyConfig = z.infer<typeof policySchema>;
export type Policies = z.infer<typeof policiesSchema>;
