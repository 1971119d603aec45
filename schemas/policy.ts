import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { datasetSchema, hostSchema, wouldBeDatasetSchema } from './names.ts';
import { maxTargets, sendRequestSchema, targetOrPlace } from './plan.ts';
import { flag } from './units.ts';

/** Policies of one host, and of all hosts in the bucket of policies. */
export const maxPolicies = 256;
export const maxPoliciesOfAll = 1024;

const { selfContained, exclude, snapshots, parallel, bwlimit, stream, conflict, compression, channel, properties } =
  sendRequestSchema.shape;

/**
 * Which dataset goes where when it has a new snapshot: `send.policies` of the configuration file, and the values of the
 * bucket `zfs-policies` under the keys `<host>.<name>`. What is absent here is as in a request for a job.
 */
export const policySchema = z.strictObject({
  dataset: datasetSchema,
  /** With descendants; the same as `package: replication`. */
  recursive: flag.optional(),
  package: z.literal('replication').optional(),
  /** What several targets need is read once. */
  to: z.union([targetOrPlace.transform((target) => [target]), z.array(targetOrPlace).min(1).max(maxTargets)]),
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

/** A policy as a sender has it in force, with what it does about each target. */
const policyStatusSchema = z.strictObject({
  /** `send.policies.<n>` of the file, or the key in the bucket. */
  name: z.string(),
  dataset: datasetSchema,
  recursive: z.boolean(),
  targets: z.array(
    z.strictObject({
      host: hostSchema,
      dataset: wouldBeDatasetSchema,
      /** `elsewhere`: a job of another sender on this host does it; `waiting`: it failed and is tried again. */
      state: z.enum(['resting', 'settling', 'running', 'elsewhere', 'waiting']),
      /** What its last run failed with. */
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
  /** Policies that are not in force, and why. */
  refused: z.array(z.strictObject({ name: z.string(), why: z.string() })),
});

export type PolicyConfig = z.infer<typeof policySchema>;
export type Policies = z.infer<typeof policiesSchema>;
