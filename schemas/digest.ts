import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { bytesSchema, guidSchema, hostSchema, idSchema, snapshotSchema } from './names.ts';

/** `zfs.<host>.digest.start`: read a snapshot's contents and compute their digest. */
export const digestStartSchema = z.strictObject({
  snapshot: snapshotSchema,
  /** Read the encrypted blocks (`zfs send -w`): this needs no key, and compares only raw replicas. */
  raw: z.boolean().optional(),
});

/** The immediate reply: the digest's id, and the instance that reads, which answers on `zfs.<host>.digest.status.<instance>`. */
export const digestStartedSchema = z.strictObject({ digest: idSchema, host: hostSchema, instance: idSchema });

/** The digest of the contents of one snapshot. */
const snapshotDigestSchema = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/, 'not a digest'),
  /** The kind of stream, the version, and the byte order. Only digests of the same method can be compared. */
  method: z.string().regex(/^[a-z0-9-]{1,32}$/, 'not a method'),
  /** The guid of the snapshot. */
  guid: guidSchema,
  /** Only in a raw digest: the IV set of the blocks, which raw replicas share. */
  ivSet: guidSchema.optional(),
});

const digestSchema = z.strictObject({
  digest: idSchema,
  snapshot: snapshotSchema,
  raw: z.boolean(),
  /** The host that requested it under its own name; no other host may abort it. */
  from: hostSchema.optional(),
  state: z.enum(['running', 'done', 'failed']),
  /** Bytes of the stream read so far. */
  bytes: bytesSchema,
  seconds: z.number().nonnegative(),
  result: snapshotDigestSchema.optional(),
  error: errorBodySchema.optional(),
});

export const digestStatusRequestSchema = z.strictObject({ digest: idSchema.optional() });
export const digestStatusSchema = z.strictObject({ host: hostSchema, digests: z.array(digestSchema) });
export const digestRequestSchema = z.strictObject({ digest: idSchema });
export const digestAbortedSchema = z.strictObject({ digest: idSchema, aborted: z.literal(true) });

export type DigestStart = z.infer<typeof digestStartSchema>;
export type SnapshotDigest = z.infer<typeof snapshotDigestSchema>;
export type Digest = z.infer<typeof digestSchema>;
