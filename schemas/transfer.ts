import { z } from 'zod';
import { conflictResolutionSchema } from './conflict.ts';
import { errorBodySchema } from './errors.ts';
import { keyWrappingSchema } from './inventory.ts';
import {
  bytesSchema,
  datasetSchema,
  guidSchema,
  hostSchema,
  idSchema,
  snapshotSchema,
  timeSchema,
  tokenSchema,
} from './names.ts';
import { propertyWishesSchema } from './properties.ts';
import { protocolSchema } from './protocol.ts';
import { streamMarkSchema } from './stream.ts';

/** The encodings of a compressed stream. */
const compressionEncodingSchema = z.enum(['zstd']);
/** `zstd`: compress if the receiver supports it; `auto`: only if it also saves bytes; `none`: do not compress. */
export const compressionModeSchema = z.enum(['auto', 'zstd', 'none']);

/**
 * How a job's streams reach their target: `direct` to a receiver that answers, `store` into the object store, for fetching later, `auto`
 * directly if the target answers, else through the store.
 */
export const channelSchema = z.enum(['direct', 'store', 'auto']);

/** The 32 random bytes for the authenticators of a transfer's control messages (decision 0021), as base64url. Never shown. */
export const secretSchema = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'not 32 bytes as base64url');

/** `zfs.<dst>.recv.start`: asks the receiver to receive one step. */
export const receiveStartSchema = z.strictObject({
  protocol: protocolSchema,
  transfer: idSchema,
  /** The source's half of the key for control messages. */
  secret: secretSchema,
  job: idSchema,
  sourceHost: hostSchema,
  /** The dataset to receive into, on this host. */
  targetDataset: datasetSchema,
  to: z.strictObject({ name: snapshotSchema, guid: guidSchema }),
  /** Absent for a full stream. */
  from: z.strictObject({ guid: guidSchema }).optional(),
  /** The target's snapshot to clone from (`zfs receive -o origin=`). */
  origin: snapshotSchema.optional(),
  /** Missing parents that the receiver may create, empty and never mounted; it creates no others. */
  parents: z.array(datasetSchema).max(128).optional(),
  /** The conflict resolution, done after the first frame and before the stream is received. */
  before: conflictResolutionSchema.optional(),
  /** `discard` drops the partial state of an older, unusable receive once the stream begins (`zfs receive -A`). */
  partial: z.enum(['resume', 'discard']),
  /** The stream is encrypted and stays encrypted: the receiver needs no key. */
  raw: z.boolean().optional(),
  /** What wraps the key in the stream, as listed on the source. */
  wrapping: keyWrappingSchema.optional(),
  /** What wraps the key on the target before this step, of its dataset or of a clone's origin; the target refuses any other. */
  replaces: keyWrappingSchema.optional(),
  /** The encryption root of the receiving dataset, as listed on the target. */
  encryptionRoot: datasetSchema.optional(),
  /** The stream contains the dataset's properties (`zfs send -p`). */
  props: z.boolean().optional(),
  /** The initial flags of the chain, for the user property `zpsend:stream` of the new dataset. */
  record: streamMarkSchema.optional(),
  /** A volume, not a filesystem. */
  volume: z.literal(true).optional(),
  properties: propertyWishesSchema.optional(),
  /** The encodings that the sender offers; the receiver may not know them. */
  compression: z.array(z.string().max(32)).max(8).optional(),
  /** Several targets receive the stream on `zfs-data.<source>._fan.<shared>`: it arrives there, or on the transfer's own subject. */
  shared: idSchema.optional(),
});

/** The most datasets in one request of `recv.check`; a request also has a limit in bytes. */
export const maxChecked = 1000;

/**
 * `zfs.<dst>.recv.check.<source>`: asks which steps would be refused. It has only the first step of each dataset, without the lists of its
 * conflict resolution. It changes nothing and takes no locks.
 */
export const receiveCheckSchema = z.strictObject({
  sourceHost: hostSchema,
  starts: z
    .array(
      receiveStartSchema.omit({
        protocol: true,
        transfer: true,
        secret: true,
        job: true,
        sourceHost: true,
        partial: true,
        properties: true,
        compression: true,
        shared: true,
      }),
    )
    .min(1)
    .max(maxChecked),
  properties: propertyWishesSchema.optional(),
});

/** One part of the answer: the steps that `recv.start` would refuse in any state of the target, and why. */
export const receiveCheckedSchema = z.strictObject({
  host: hostSchema,
  refused: z.array(z.strictObject({ targetDataset: datasetSchema, error: errorBodySchema })),
});

/** The most that a receiver may make a sender keep in memory, in bytes. */
const maxWindow = 16 * 1024 * 1024;

/** The reply if the receiver has the lock and is ready for the first frame. */
export const receiveReadySchema = z.strictObject({
  transfer: idSchema,
  /** The target's half of the key for control messages. */
  secret: secretSchema,
  /** Bytes that may be in flight. */
  window: bytesSchema.min(1).max(maxWindow),
  /** The revision of the lock, as a fencing token. */
  revision: bytesSchema,
  /** Partial state of an earlier receive: `zfs send -t` continues it; with `discard`, the first frame drops it. */
  resumeToken: tokenSchema.optional(),
  /**
   * The encoding that the receiver accepts; when absent, the stream must not be compressed. With `zstd` it is one zstd frame with a
   * window of at most 2 MiB, or uncompressed: the first four bytes show which. Offsets, credit and totals count transmitted bytes.
   */
  compression: compressionEncodingSchema.optional(),
  /** The stream may arrive on the shared subject; when absent, only on the transfer's own, as a resumed stream does. */
  shared: z.literal(true).optional(),
});

/**
 * A control message of the receiver on `zfs-credit.<src>.<transfer>.<dst>`, followed by a line with its authenticator. `upTo` is the
 * credit, an offset in transmitted bytes. `idle` is how long `zfs receive` has waited for bytes so far, in milliseconds. `shared`: a
 * probe on the shared subject was received.
 */
export const creditMessageSchema = z.union([
  z.strictObject({
    type: z.literal('credit'),
    upTo: bytesSchema,
    idle: bytesSchema.optional(),
    shared: z.literal(true).optional(),
  }),
  z.strictObject({ type: z.literal('done'), guid: guidSchema, bytes: bytesSchema }),
  z.strictObject({ type: z.literal('failed'), error: errorBodySchema }),
]);

/** The value of a lock in `zfs-locks`. */
export const lockSchema = z.strictObject({
  owner: z.string(),
  nonce: z.string(),
  /** The hash of the transfer's id. The id itself is not included, since every host may read locks. */
  transferHash: z.string().regex(/^[0-9a-f]{16}$/),
  source: hostSchema,
});

export const transferStateSchema = z.strictObject({
  transfer: idSchema.meta({ description: 'The id of the transfer.' }),
  job: idSchema.meta({ description: 'The id of its job.' }),
  sourceHost: hostSchema.meta({ description: 'The source host.' }),
  targetDataset: datasetSchema.meta({ description: 'The dataset that receives the stream.' }),
  snapshot: snapshotSchema.meta({ description: 'The snapshot that the stream brings, by its name on the source.' }),
  state: z.string().meta({ description: 'The phase of the receive; `done` or `failed` in the final events.' }),
  received: bytesSchema.meta({ description: 'Bytes received, as transmitted.' }),
  consumed: bytesSchema.meta({ description: 'Bytes written to `zfs receive`, as transmitted.' }),
  started: timeSchema.meta({ description: 'When it started.' }),
  seconds: z.number().nonnegative().meta({ description: 'Seconds since then.' }),
});

export const transferRequestSchema = z.strictObject({ transfer: idSchema });
export const receiveStatusRequestSchema = z.strictObject({ transfer: idSchema.optional() });
export const receiveStatusSchema = z.strictObject({ host: hostSchema, transfers: z.array(transferStateSchema) });
export const receiveAbortedSchema = z.strictObject({ transfer: idSchema, aborted: z.literal(true) });

export type CompressionEncoding = z.infer<typeof compressionEncodingSchema>;
export type Channel = z.infer<typeof channelSchema>;
export type CompressionMode = z.infer<typeof compressionModeSchema>;
export type StartRequest = z.infer<typeof receiveStartSchema>;
/** The request without the secret, for logs, comparisons and output. */
export type ReceiveStart = Omit<StartRequest, 'secret' | 'protocol'>;
export type ReceiveCheck = z.infer<typeof receiveCheckSchema>;
export type ReceiveChecked = z.infer<typeof receiveCheckedSchema>;
export type ReceiveReady = z.infer<typeof receiveReadySchema>;
export type CreditMessage = z.infer<typeof creditMessageSchema>;
export type CreditFinal = Exclude<CreditMessage, { type: 'credit' }>;
export type Lock = z.infer<typeof lockSchema>;
export type TransferState = z.infer<typeof transferStateSchema>;
