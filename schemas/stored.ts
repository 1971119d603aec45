import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { inventorySchema } from './inventory.ts';
import { bytesSchema, datasetSchema, hostSchema, idSchema } from './names.ts';
import { maxTargets } from './request.ts';
import { receiveStartSchema } from './transfer.ts';

/**
 * The `recv.start` of a stored stream. A plan for an offline target has no conflict resolution, and the receiver decides about partial
 * state when it receives the stream.
 */
export const storedStartSchema = receiveStartSchema.omit({
  protocol: true,
  secret: true,
  before: true,
  partial: true,
  shared: true,
});

/** The size of every segment except the last, which may be shorter, in bytes. */
const leastSegment = 64 * 1024;
const mostSegment = 64 * 1024 * 1024;
/** The most terminal receipts that a known target includes; one target never has more stored streams. */
const maxReceipts = 100_000;
/** The most segments of one stream; at the default size of a segment that is 1.6 TiB. */
const mostSegments = 100_000;

const digestSchema = z.string().regex(/^SHA-256=[A-Za-z0-9_-]{43}=$/, 'not a SHA-256 in the form of the object store');

/**
 * The manifest of one stored stream, which is stored after all its segments (I7). The NATS server lets only the source write to the
 * bucket, so the manifest proves the source as the first frame does on the direct channel (I11).
 */
export const manifestSchema = z.strictObject({
  version: z.literal(1),
  id: idSchema,
  source: hostSchema,
  /** Bytes of all segments. */
  bytes: bytesSchema,
  segment: z.number().int().min(leastSegment).max(mostSegment),
  /** The digest of each segment, in order. */
  digests: z.array(digestSchema).min(1).max(mostSegments),
  targets: z
    .array(z.strictObject({ host: hostSchema, start: storedStartSchema }))
    .min(1)
    .max(maxTargets),
});

/**
 * The delivery receipt of one target for a stored stream, in `zfs-status` under the target's name, where only the target may write.
 * `running`: `bytes` are received so far; with an error, the target could not receive the stream, and retries.
 */
export const receiptSchema = z.strictObject({
  state: z.enum(['running', 'done', 'failed']),
  bytes: bytesSchema,
  error: errorBodySchema.optional(),
});

/**
 * The known target of a source, for planning while it is offline: the parts of its last listing that plans need. `refused`: the target
 * has rejected a stored stream since then, so only a new listing shows its state. `appliedReceipts`: the terminal receipts of streams in the store
 * that this state includes, by stream id and target index.
 */
export const lastKnownTargetSchema = z.strictObject({
  version: z.literal(1),
  target: inventorySchema,
  refused: errorBodySchema.optional(),
  appliedReceipts: z.array(z.string().max(64)).max(maxReceipts).optional(),
  /** Datasets that received streams after the listing, so the keys of datasets that inherit from them are unknown. */
  unseenKeys: z.array(datasetSchema).optional(),
});

export type StoredStart = z.infer<typeof storedStartSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
/** The part of a manifest that stays in memory. The receiver of the stream reads the manifest again, with its digests. */
export interface WaitingStream extends Pick<Manifest, 'id' | 'source' | 'bytes' | 'targets'> {
  /** The number of segments. */
  readonly segments: number;
}
export type LastKnownTarget = z.infer<typeof lastKnownTargetSchema>;
export type Receipt = z.infer<typeof receiptSchema>;
