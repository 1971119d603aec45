import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { bytesSchema, guidSchema, hostSchema, idSchema, snapshotSchema } from './names.ts';

/** `zfs.<host>.digest.start`: read a snapshot's contents and compute their digest. */
export const digestStartSchema = z.strictObject({
  snapshot: snapshotSchema,
  /** As it is encrypted on disk (`zfs send -w`), which needs no key and compares raw replicas only. */
  raw: z.boolean().optional(),
});

/** A digest id at once, and the instance that reads: `zfs.<host>.digest.status.<instance>` asks it alone. */
export const digestStartedSchema = z.strictObject({ digest: idSchema, host: hostSchema, instance: idSchema });

/** What the contents of one snapshot come to. */
const snapshotDigestSchema = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/, 'not a digest'),
  /** Only digests of one method can be compared: how the stream was made, the version, and its byte order. */
  method: z.string().regex(/^[a-z0-9-]{1,32}$/, 'not a method'),
  /** Of the snapshot that was read. */
  guid: guidSchema,
  /** Of a raw digest: which encryption the blocks have; raw replicas share it. */
  ivSet: guidSchema.optional(),
});

const digestSchema = z.strictObject({
  digest: idSchema,
  snapshot: snapshotSchema,
  raw: z.boolean(),
  /** The host that asked for it on its own subject, which alone of all hosts may end it. */
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
