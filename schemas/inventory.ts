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
 * Which encryption of its contents it is (`ivsetguid`): equal on both sides exactly where it was received raw, and raw
 * incrementals start from nothing else. Only of what is encrypted.
 */
const ivsetSchema = guidSchema;

/** Seconds since the epoch, by the clock of the host where it was made; only where a listing was asked for it. */
const creationSchema = bytesSchema;

/** A snapshot as `zfs list` shows it; `name` is the part after `@`. Sizes in bytes. */
const snapshotEntrySchema = z.strictObject({
  name: leafSchema,
  guid: guidSchema,
  createtxg: txgSchema,
  used: bytesSchema,
  referenced: bytesSchema,
  /** Bytes written since the snapshot before: a free estimate of an incremental's size (zfsprops(7)). */
  written: bytesSchema,
  /** Number of user holds. */
  userrefs: bytesSchema,
  ivset: ivsetSchema.optional(),
  /** It was received from a redacted stream (`zfs send --redact`): blocks of it are missing. */
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
 * What wraps a dataset's master key, as far as ZFS shows it: of a passphrase the salt and the iterations, which every `zfs change-key`
 * chooses anew (zfs-load-key(8)). Of a `hex` or `raw` key nothing distinguishes them.
 */
export const keyWrappingSchema = z.strictObject({
  format: z.enum(['passphrase', 'hex', 'raw']),
  salt: guidSchema.optional(),
  iterations: bytesSchema.optional(),
});

/** The snapshot a clone came from. The guid is absent where the listing could not see the origin. */
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
  /** Bytes that may still be written here and below: the pool's room, within the quotas of all that it lies in (zfsprops(7)). */
  available: bytesSchema.optional(),
  origin: originSchema.optional(),
  /** `off`, or the cipher suite. */
  encryption: z.string(),
  keystatus: z.enum(['available', 'unavailable']).optional(),
  /** The dataset whose key opens it; absent where it is not encrypted. */
  encryptionRoot: datasetSchema.optional(),
  /** What wraps its own master key: what its root had when that was written here last. Absent where it is not encrypted. */
  wrapping: keyWrappingSchema.optional(),
  /** What wraps the key of its root, where the listing does not show that one itself. */
  rootWrapping: keyWrappingSchema.optional(),
  /** The flags of the chain that it was received by; its own or inherited, which the guid in it shows. */
  stream: streamMarkSchema.optional(),
  resumeToken: tokenSchema.optional(),
  /** A receiver made it, empty and never mounted, above what it received. */
  placeholder: z.literal(true).optional(),
  /** The last rollback that was started here. */
  rolledBack: rollbackMarkSchema.optional(),
  /** Its snapshots, bookmarks and partial state are not shown to the host that asked. */
  withheld: z.literal(true).optional(),
  /** Ordered by createtxg. */
  snapshots: z.array(snapshotEntrySchema),
  bookmarks: z.array(bookmarkEntrySchema),
});

/** What one host has, as `zpsend snapshots --json` prints it and the file of `plan --inventory` holds it. */
export const inventorySchema = z.strictObject({
  host: hostSchema,
  datasets: z.array(datasetEntrySchema),
  /** Enabled features of each pool, as far as they matter to streams; absent where they cannot be known. */
  features: z.record(z.string(), z.array(streamFeatureSchema)).optional(),
  /** Those of them that something in the pool uses; which dataset does is not listed. */
  active: z.record(z.string(), z.array(streamFeatureSchema)).optional(),
  /** The pools that are imported read-only; absent where there is none, or where that cannot be known. */
  readOnlyPools: z.array(z.string()).optional(),
  /** The host has more, or may have it, which it does not show to the host that asked. */
  restricted: z.literal(true).optional(),
});

/**
 * One reply of `zfs.<host>.snapshots`: a listing comes in as many as it needs, and ends with an empty message. A dataset with many
 * snapshots goes on in the next part.
 */
export const listingPartSchema = inventorySchema.extend({
  /** From 1. */
  part: z.number().int().positive(),
  /** Another part follows: this is not all that the host has. */
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
