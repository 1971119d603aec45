import { z } from 'zod';
import { rollbackMarkSchema } from './conflict.ts';
import {
  bytesSchema,
  datasetSchema,
  guidSchema,
  hostSchema,
  leafSchema,
  snapshotSchema,
  tokenSchema,
  txgSchema,
} from './names.ts';
import { streamFeatureSchema, streamMarkSchema } from './stream.ts';

/**
 * The IV set of an encrypted snapshot or bookmark (`ivsetguid`). It is equal on both sides only after a raw receive, and a raw
 * incremental needs a base with an equal one.
 */
const ivsetSchema = guidSchema;

/** Seconds since the epoch, by the clock of the host where it was created; only if the request asked for it. */
const creationSchema = bytesSchema;

/** A snapshot as `zfs list` shows it; `name` is the part after `@`. Sizes in bytes. */
const snapshotEntrySchema = z.strictObject({
  name: leafSchema,
  guid: guidSchema,
  createtxg: txgSchema,
  used: bytesSchema,
  referenced: bytesSchema,
  /** Bytes written since the previous snapshot: an estimate of an incremental's size (zfsprops(7)). */
  written: bytesSchema,
  /** Number of user holds. */
  userrefs: bytesSchema,
  ivset: ivsetSchema.optional(),
  /** It was received from a redacted stream (`zfs send --redact`), so it lacks blocks. */
  redacted: z.literal(true).optional(),
  creation: creationSchema.optional(),
});

/** A bookmark; `name` is the part after `#`. */
const bookmarkEntrySchema = z.strictObject({
  name: leafSchema,
  guid: guidSchema,
  createtxg: txgSchema,
  ivset: ivsetSchema.optional(),
  /** A redaction bookmark (zfs-redact(8)), or a bookmark of a redacted snapshot. */
  redacted: z.literal(true).optional(),
  creation: creationSchema.optional(),
});

/**
 * The visible parameters of the key that wraps a dataset's master key. A passphrase has a salt and iterations, which every
 * `zfs change-key` changes (zfs-load-key(8)). Two `hex` or `raw` keys cannot be distinguished.
 */
export const keyWrappingSchema = z.strictObject({
  format: z.enum(['passphrase', 'hex', 'raw']),
  salt: guidSchema.optional(),
  iterations: bytesSchema.optional(),
});

/** The origin of a clone. The guid is absent if the listing does not contain the origin. */
const originSchema = z.strictObject({ name: snapshotSchema, guid: guidSchema.optional() });

export const datasetEntrySchema = z.strictObject({
  name: datasetSchema,
  type: z.enum(['filesystem', 'volume']),
  guid: guidSchema,
  createtxg: txgSchema,
  used: bytesSchema,
  referenced: bytesSchema,
  /** Bytes written since the newest snapshot. */
  written: bytesSchema,
  /** Bytes that can still be written to it and its descendants, within all quotas (zfsprops(7)). */
  available: bytesSchema.optional(),
  origin: originSchema.optional(),
  /** `off`, or the cipher suite. */
  encryption: z.string(),
  keystatus: z.enum(['available', 'unavailable']).optional(),
  /** Its encryption root; absent if it is not encrypted. */
  encryptionRoot: datasetSchema.optional(),
  /** What wraps its master key, as last written to this dataset. Absent if it is not encrypted. */
  wrapping: keyWrappingSchema.optional(),
  /** What wraps the key of its encryption root, if the listing does not contain the root. */
  rootWrapping: keyWrappingSchema.optional(),
  /** The initial flags of the chain that it was received by. The guid in it shows whether it is inherited. */
  stream: streamMarkSchema.optional(),
  resumeToken: tokenSchema.optional(),
  /** A placeholder: a receiver created it, empty and never mounted, as a parent. */
  placeholder: z.literal(true).optional(),
  /** The last rollback that was started on it. */
  rolledBack: rollbackMarkSchema.optional(),
  /** Its snapshots, bookmarks and partial state are not shown to the host that asked. */
  withheld: z.literal(true).optional(),
  /** Ordered by createtxg. */
  snapshots: z.array(snapshotEntrySchema),
  bookmarks: z.array(bookmarkEntrySchema),
});

/** The inventory of one host, as in `zpsend snapshots --json` and the file of `plan --inventory`. */
export const inventorySchema = z.strictObject({
  host: hostSchema,
  datasets: z.array(datasetEntrySchema),
  /** The enabled features of each pool that affect streams; absent if they are unknown. */
  features: z.record(z.string(), z.array(streamFeatureSchema)).optional(),
  /** The active ones of them: a dataset of the pool uses the feature. */
  active: z.record(z.string(), z.array(streamFeatureSchema)).optional(),
  /** The pools that are imported read-only; absent if there are none, or they are unknown. */
  readOnlyPools: z.array(z.string()).optional(),
  /** The host may have more datasets, which it does not show to the host that asked. */
  restricted: z.literal(true).optional(),
});

/**
 * One reply of `zfs.<host>.snapshots`: a listing has one or more parts, and ends with an empty message. A dataset with many
 * snapshots continues in the next part.
 */
export const listingPartSchema = inventorySchema.extend({
  /** From 1. */
  part: z.number().int().positive(),
  /** Another part follows. */
  more: z.boolean(),
});

/** Two saved listings, to plan without a bus. `version` grows when the shape changes. */
export const inventoryFileSchema = z.strictObject({
  version: z.literal(1),
  source: inventorySchema,
  target: inventorySchema,
});

export type KeyWrapping = z.infer<typeof keyWrappingSchema>;
export type SnapshotEntry = z.infer<typeof snapshotEntrySchema>;
export type BookmarkEntry = z.infer<typeof bookmarkEntrySchema>;
export type DatasetEntry = z.infer<typeof datasetEntrySchema>;
export type Inventory = z.infer<typeof inventorySchema>;
