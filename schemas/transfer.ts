import { z } from 'zod';
import { clearingSchema } from './conflict.ts';
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

/** How a stream may go over the wire other than as it is. */
const compressionEncodingSchema = z.enum(['zstd']);
/** `zstd`: compressed where the receiver can; `auto`: there where it pays too; `none`: as it is. */
export const compressionModeSchema = z.enum(['auto', 'zstd', 'none']);

/**
 * How a job's streams reach their target: `direct` to the receiver that answers, `store` into the object store, to be fetched later,
 * `auto` the one where the target answers, and else the other.
 */
export const channelSchema = z.enum(['direct', 'store', 'auto']);

/** Random bytes that make the authenticators of a transfer's words (decision 0021): 32, as base64url. They are shown nowhere. */
export const secretSchema = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'not 32 bytes as base64url');

/** `zfs.<dst>.recv.start`: one step that wants to come in. */
export const receiveStartSchema = z.strictObject({
  protocol: protocolSchema,
  transfer: idSchema,
  /** The source's half of what the words of the transfer are known by. */
  secret: secretSchema,
  job: idSchema,
  source: hostSchema,
  /** The dataset to receive into, on this host. */
  dataset: datasetSchema,
  to: z.strictObject({ name: snapshotSchema, guid: guidSchema }),
  /** Absent for a full stream. */
  from: z.strictObject({ guid: guidSchema }).optional(),
  /** The target's snapshot to clone from (`zfs receive -o origin=`). */
  origin: snapshotSchema.optional(),
  /** Parents that may be made where they are missing, empty and never mounted; no others are. */
  parents: z.array(datasetSchema).max(128).optional(),
  /** What is done to the target before the stream is received, after its first frame. */
  before: clearingSchema.optional(),
  /** `discard` drops the partial state of an older, unusable receive once the stream begins (`zfs receive -A`). */
  partial: z.enum(['resume', 'discard']),
  /** The stream is encrypted and stays so: no key is needed here. */
  raw: z.boolean().optional(),
  /** What wraps the key that it brings, as the source was listed. */
  wrapping: keyWrappingSchema.optional(),
  /** What wraps the key on the target until this arrives, of its dataset or of a clone's origin; where that is another one it is refused. */
  replaces: keyWrappingSchema.optional(),
  /** Which dataset the one that receives took its key from, as the target was listed. */
  encryptionRoot: datasetSchema.optional(),
  /** The stream brings the dataset's properties (`zfs send -p`). */
  props: z.boolean().optional(),
  /** What the chain begins with, remembered as the user property `zpsend:stream` of the dataset that is made. */
  record: streamMarkSchema.optional(),
  /** It is a volume, and not a filesystem. */
  volume: z.literal(true).optional(),
  properties: propertyWishesSchema.optional(),
  /** What the sender can do to the stream besides, of which the receiver may know nothing. */
  compression: z.array(z.string().max(32)).max(8).optional(),
  /** Others receive the same stream, on `zfs-data.<source>._fan.<shared>`: it comes there, or on this transfer's own subject. */
  shared: idSchema.optional(),
});

/** Datasets in one request of `recv.check`; a request is bounded by its bytes too. */
export const maxChecked = 1000;

/**
 * `zfs.<dst>.recv.check.<source>`: what would be refused of a plan, of which only the first step of each dataset is sent, and of what that
 * clears no list. Nothing is changed, and nothing locked.
 */
export const receiveCheckSchema = z.strictObject({
  source: hostSchema,
  starts: z
    .array(
      receiveStartSchema.omit({
        protocol: true,
        transfer: true,
        secret: true,
        job: true,
        source: true,
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

/** One part of the answer: those that `recv.start` would refuse in any state of the target, and why. */
export const receiveCheckedSchema = z.strictObject({
  host: hostSchema,
  refused: z.array(z.strictObject({ dataset: datasetSchema, error: errorBodySchema })),
});

/** No receiver may make a sender keep more than this in memory, in bytes. */
const maxWindow = 16 * 1024 * 1024;

/** Accepted: locked, and ready for the first frame. */
export const receiveReadySchema = z.strictObject({
  transfer: idSchema,
  /** The target's half of what the words of the transfer are known by. */
  secret: secretSchema,
  /** Bytes that may be in flight. */
  window: bytesSchema.min(1).max(maxWindow),
  /** The lock's revision: the fence. */
  revision: bytesSchema,
  /** Partial state of an earlier receive: `zfs send -t` continues it; where the start has `discard`, the first frame drops it. */
  resumeToken: tokenSchema.optional(),
  /**
   * Of what was offered, what the receiver takes; without, the stream has to come as it is. With `zstd` it is one zstd frame
   * with a window of at most 2 MiB, or as it is: the first four bytes show which. Offsets, credit and totals count what is sent.
   */
  compression: compressionEncodingSchema.optional(),
  /** The stream may come on the shared subject; without, only on the transfer's own, as what continues partial state does. */
  shared: z.literal(true).optional(),
});

/**
 * What the receiver sends on `zfs-credit.<src>.<transfer>.<dst>`, with a line behind it that authenticates it. `upTo` is a cumulative
 * offset in bytes of what is sent, `idle` how long `zfs receive` has waited for bytes so far, in milliseconds. `shared`: a knock on the shared
 * subject was heard.
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
  /** Of the transfer's id, which does not stand here: every host may read locks. */
  transferHash: z.string().regex(/^[0-9a-f]{16}$/),
  source: hostSchema,
});

export const transferStateSchema = z.strictObject({
  transfer: idSchema,
  job: idSchema,
  source: hostSchema,
  dataset: datasetSchema,
  snapshot: snapshotSchema,
  /** In the events of its end `done` or `failed`. */
  state: z.string(),
  /** Bytes received, and handed on; as they came over the wire. */
  received: bytesSchema,
  consumed: bytesSchema,
  started: timeSchema,
  seconds: z.number().nonnegative(),
});

export const transferRequestSchema = z.strictObject({ transfer: idSchema });
export const receiveStatusRequestSchema = z.strictObject({ transfer: idSchema.optional() });
export const receiveStatusSchema = z.strictObject({ host: hostSchema, transfers: z.array(transferStateSchema) });
export const receiveAbortedSchema = z.strictObject({ transfer: idSchema, aborted: z.literal(true) });

export type CompressionEncoding = z.infer<typeof compressionEncodingSchema>;
export type Channel = z.infer<typeof channelSchema>;
export type CompressionMode = z.infer<typeof compressionModeSchema>;
export type StartRequest = z.infer<typeof receiveStartSchema>;
/** What is asked for, without the secret: it is what is logged, compared and shown. */
export type ReceiveStart = Omit<StartRequest, 'secret' | 'protocol'>;
export type ReceiveCheck = z.infer<typeof receiveCheckSchema>;
export type ReceiveChecked = z.infer<typeof receiveCheckedSchema>;
export type ReceiveReady = z.infer<typeof receiveReadySchema>;
export type CreditMessage = z.infer<typeof creditMessageSchema>;
export type CreditFinal = Exclude<CreditMessage, { type: 'credit' }>;
export type Lock = z.infer<typeof lockSchema>;
export type TransferState = z.infer<typeof transferStateSchema>;
