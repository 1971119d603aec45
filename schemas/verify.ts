import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { datasetSchema, guidSchema, hostSchema, leafSchema, wouldBeDatasetSchema } from './names.ts';

/** What reading a snapshot on both sides came to. */
const contentSchema = z.strictObject({
  /**
   * - `incomparable`: read or not, it does not show whether they are equal; `reason` has the cause
   * - `gone`: destroyed since it was listed
   * - `failed`: it could not be read, `error` has the cause
   */
  state: z.enum(['equal', 'different', 'incomparable', 'gone', 'failed']),
  /** The digests, where both sides have one. */
  source: z.string().optional(),
  target: z.string().optional(),
  reason: z.string().optional(),
  error: errorBodySchema.optional(),
});

/** One snapshot of either side; names without their dataset. */
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
   * - `equal`: the target has the newest snapshot, and all that both have is equal
   * - `behind`: the same, but newer snapshots are not there yet
   * - `diverged`: newer snapshots are not there and cannot be sent as they are: the target has newer ones that the source lacks
   * - `different`: a snapshot of one name has two guids, or contents differ
   * - `unrelated`: both have snapshots and none in common
   * - `unread`: contents were to be compared, and of some they could not be
   * - `missing`: the target has no such dataset, or not the named snapshot
   * - `extra`: the source has no such dataset, or does not show it
   * - `unnamed`: the source's dataset has not the named snapshot
   * - `empty`: the source's dataset has no snapshots
   * - `withheld`: a side shows the dataset without its snapshots, so that nothing of it was compared
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
  /** The target's newest snapshot is none of the source's, so what is sent next will be refused. */
  targetIsAhead: z.literal(true).optional(),
  snapshots: z.array(verifiedSnapshotSchema),
});

/** A side that does not show to this host all that it has, at this dataset or below: what it leaves out was not compared. */
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
  /** Absent where both sides show everything. */
  restricted: z.array(restrictedSideSchema).optional(),
});

export type Content = z.infer<typeof contentSchema>;
export type VerifiedSnapshot = z.infer<typeof verifiedSnapshotSchema>;
export type VerifiedDataset = z.infer<typeof verifiedDatasetSchema>;
export type RestrictedSide = z.infer<typeof restrictedSideSchema>;
export type VerifyOutput = z.infer<typeof verifyOutputSchema>;
