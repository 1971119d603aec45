import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { datasetSchema, guidSchema, hostSchema, leafSchema, wouldBeDatasetSchema } from './names.ts';

/** The result of reading a snapshot on both sides. */
const contentSchema = z.strictObject({
  /**
   * - `incomparable`: the digests do not show whether they are equal; `reason` has the cause
   * - `gone`: destroyed after it was listed
   * - `failed`: it could not be read; `error` has the cause
   */
  state: z.enum(['equal', 'different', 'incomparable', 'gone', 'failed']),
  /** The digests, if both sides have one. */
  source: z.string().optional(),
  target: z.string().optional(),
  reason: z.string().optional(),
  error: errorBodySchema.optional(),
});

/** One snapshot of either side; names without the dataset. */
const verifiedSnapshotSchema = z.strictObject({
  /**
   * - `equal`: same name and guid
   * - `renamed`: same guid, another name
   * - `different`: same name, another guid
   * - `missing`: on the source only
   * - `extra`: on the target only
   */
  state: z.enum(['equal', 'renamed', 'different', 'missing', 'extra']),
  source: z.strictObject({ name: leafSchema, guid: guidSchema }).optional(),
  target: z.strictObject({ name: leafSchema, guid: guidSchema }).optional(),
  content: contentSchema.optional(),
});

const verifiedDatasetSchema = z.strictObject({
  source: datasetSchema,
  target: wouldBeDatasetSchema,
  /**
   * - `equal`: the target has the newest snapshot, and all common snapshots are equal
   * - `behind`: all common snapshots are equal, but the target lacks newer ones
   * - `diverged`: the target lacks newer snapshots, and cannot receive them, since it has newer ones that the source lacks
   * - `different`: a snapshot has another guid on each side, or contents differ
   * - `unrelated`: both have snapshots, but none in common
   * - `unread`: some contents could not be compared
   * - `missing`: the target lacks the dataset, or the named snapshot
   * - `extra`: the source lacks the dataset, or does not show it
   * - `unnamed`: the source's dataset lacks the named snapshot
   * - `empty`: the source's dataset has no snapshots
   * - `withheld`: a side does not show the snapshots of the dataset, so nothing was compared
   */
  state: z.enum([
    'equal',
    'behind',
    'diverged',
    'different',
    'unrelated',
    'unread',
    'missing',
    'extra',
    'unnamed',
    'empty',
    'withheld',
  ]),
  newestCommon: leafSchema.optional(),
  /** The source lacks the target's newest snapshot, so the next stream will be refused. */
  targetIsAhead: z.literal(true).optional(),
  snapshots: z.array(verifiedSnapshotSchema),
});

/** A side that does not show this host everything at or below this dataset; hidden snapshots were not compared. */
const restrictedSideSchema = z.strictObject({
  side: z.enum(['source', 'target']),
  host: hostSchema,
  dataset: datasetSchema,
});

/** `zpsend verify --json` */
export const verifyOutputSchema = z.strictObject({
  source: hostSchema,
  target: hostSchema,
  datasets: z.array(verifiedDatasetSchema),
  /** Absent if both sides show everything. */
  restricted: z.array(restrictedSideSchema).optional(),
});

export type Content = z.infer<typeof contentSchema>;
export type VerifiedSnapshot = z.infer<typeof verifiedSnapshotSchema>;
export type VerifiedDataset = z.infer<typeof verifiedDatasetSchema>;
export type RestrictedSide = z.infer<typeof restrictedSideSchema>;
export type VerifyOutput = z.infer<typeof verifyOutputSchema>;
