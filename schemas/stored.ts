import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { inventorySchema } from './inventory.ts';
import { bytesSchema, datasetSchema, hostSchema, idSchema } from './names.ts';
import { maxTargets } from './plan.ts';
import { receiveStartSchema } from './transfer.ts';

/**
 * The `recv.start` of a stored stream. What stands in the way of an unseen target is not planned away, so
 * there is nothing to clear; and how partial state is dealt with, the receiver decides when the time comes.
 */
export const storedStartSchema = receiveStartSchema.omit({
  protocol: true,
  secret: true,
  before: true,
  partial: true,
  shared: true,
});

/** Bytes of every segment but the last, which may be shorter. */
const leastSegment = 64 * 1024;
const mostSegment = 64 * 1024 * 1024;
/** Terminal receipts that a known target takes account of; more streams than these do not wait for one place. */
const mostHeard = 100_000;
/** Of one stream; at the default size of a segment that is 1.6 TiB. */
const mostSegments = 100_000;

const digestSchema = z.string().regex(/^SHA-256=[A-Za-z0-9_-]{43}=$/, 'not a SHA-256 as the object store has it');

/**
 * One stored stream: an object beside its segments, put there when all of them are (I7). Only its source may write to the bucket,
 * which the NATS server holds, so that this is what the first frame is on the direct channel (I11).
 */
export const manifestSchema = z.strictObject({
  version: z.literal(1),
  id: idSchema,
  source: hostSchema,
  /** Bytes of all segments. */
  bytes: bytesSchema,
  segment: z.number().int().min(leastSegment).max(mostSegment),
  /** Of each segment, in order. */
  digests: z.array(digestSchema).min(1).max(mostSegments),
  targets: z
    .array(z.strictObject({ host: hostSchema, start: storedStartSchema }))
    .min(1)
    .max(maxTargets),
});

/**
 * What became of a stored stream at one of its targets, in `zfs-status` under the target's own name, where only that may write.
 * `running`: with how many bytes it has taken so far; with an error, it could not take it, and tries again.
 */
export const receiptSchema = z.strictObject({
  state: z.enum(['running', 'done', 'failed']),
  bytes: bytesSchema,
  error: errorBodySchema.optional(),
});

/**
 * What a source knows of a target that it may have to plan for unseen: the listing it saw last, as far as plans need it. `refused`:
 * the target has refused what was stored for it since then, so that only a listing will show what it has. `heard`: its receipts of
 * streams that still lie in the store, by their ids and places, as far as this takes account of it.
 */
export const lastKnownTargetSchema = z.strictObject({
  version: z.literal(1),
  target: inventorySchema,
  refused: errorBodySchema.optional(),
  heard: z.array(z.string().max(64)).max(mostHeard).optional(),
  /** Datasets of which more was sent since they were seen, so that what takes its key from them is not known. */
  unseenKeys: z.array(datasetSchema).optional(),
});

export type StoredStart = z.infer<typeof storedStartSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
/** What is kept of a manifest in memory. The receiver of the stream reads the manifest again, with its digests. */
export interface WaitingStream extends Pick<Manifest, 'id' | 'source' | 'bytes' | 'targets'> {
  /** How many there are. */
  readonly segments: number;
}
export type LastKnownTarget = z.infer<typeof lastKnownTargetSchema>;
export type Receipt = z.infer<typeof receiptSchema>;
