import { z } from 'zod';
import { codeSchema } from './errors.ts';
import { keyWrappingSchema } from './inventory.ts';
import {
  bytesSchema,
  datasetSchema,
  guidSchema,
  hostSchema,
  idSchema,
  leafSchema,
  wouldBeDatasetSchema,
} from './names.ts';
import { streamMarkSchema } from './stream.ts';

/** A time of the source's clock. */
const timeSchema = z.iso.datetime();
const countSchema = z.number().int().nonnegative();

/** A snapshot of the source; if only its bookmark exists, the snapshot is gone. */
const statusSnapshotSchema = z.strictObject({
  name: leafSchema,
  guid: guidSchema,
  /** Seconds since the epoch, by the clock of the host where it was created (zfsprops(7), `creation`). */
  creation: countSchema.optional(),
});

/** The lag: the snapshots that the source has and the target lacks. */
const lagSchema = z.strictObject({
  snapshots: countSchema,
  /** Estimated by ZFS's `written`. */
  bytes: bytesSchema,
  /** Between the creation of the newest sent and the newest snapshot of the source; absent if nothing was sent. */
  seconds: countSchema.optional(),
});

/** The running or the last job. */
const statusRunSchema = z.strictObject({
  job: idSchema,
  /** The sender that runs it. */
  instance: idSchema,
  state: z.enum(['running', 'waiting', 'done', 'failed']),
  /** Snapshots that arrived. */
  done: countSchema,
  /** Bytes of streams in this run. */
  bytes: bytesSchema,
  seconds: z.number().nonnegative(),
  /** The recent rate in bytes per second; only while it runs. */
  rate: bytesSchema.optional(),
});

const statusErrorSchema = z.strictObject({
  code: codeSchema,
  message: z.string().max(1000),
  retryable: z.boolean(),
});

/**
 * The value of a key `<source>.to.<target>.<dataset>[.<target's dataset>]` in the bucket `zfs-status`: facts that stay true
 * without a sender. For `running` and `waiting`, the reader decides by the age of the entry whether they still apply.
 */
export const statusEntrySchema = z.strictObject({
  /** The newest of the source's snapshots that the target has. */
  sent: statusSnapshotSchema.optional(),
  /** The initial flags of the chain, if the target has stored them: stored streams for an offline target use them too. */
  stream: streamMarkSchema.optional(),
  /** What wraps the key of an encrypted replica, as last listed or sent: streams stored for an offline target must not change it. */
  wrapping: keyWrappingSchema.optional(),
  newest: statusSnapshotSchema.optional(),
  /** The newest snapshot that is stored for the target and not yet received. */
  stored: statusSnapshotSchema.optional(),
  lag: lagSchema.optional(),
  /** When the source was listed: `newest` and `lag` are of that time. */
  listed: timeSchema.optional(),
  /** The longest time until this sender lists the source again, in seconds; absent if no sender service runs. */
  reconcileSeconds: z.number().positive().optional(),
  run: statusRunSchema.optional(),
  /** Why the run failed or waits, or why the target does not receive its stored streams. */
  error: statusErrorSchema.optional(),
  /** When this was written. */
  written: timeSchema,
});

/** One row of `zpsend status`. */
export const fleetRowSchema = statusEntrySchema.extend({
  source: hostSchema,
  dataset: datasetSchema,
  target: hostSchema,
  /** The dataset on the target. */
  into: wouldBeDatasetSchema,
  /** The key in the bucket `zfs-status`. */
  key: z.string(),
  revision: countSchema,
  /** Seconds since this was written, by the NATS server's clock. */
  age: z.number().nonnegative(),
  /** Seconds since the source was listed. No two clocks are compared. */
  listedAge: z.number().nonnegative(),
  /** The row is stale if `listedAge` exceeds this, in seconds. */
  staleAfter: z.number().nonnegative(),
  /**
   * - `running`, `waiting`: as reported recently
   * - `silent`: it was running, but its sender stopped reporting
   * - `failed`: the last run failed
   * - `stale`: the source was not listed for longer than `staleAfter`, so the lag is unknown
   * - `behind`: the source has newer snapshots
   * - `stored`: the source has newer snapshots, and all of them are in the store
   * - `current`: the target has the newest
   */
  state: z.enum(['running', 'waiting', 'silent', 'failed', 'stale', 'behind', 'stored', 'current']),
});

/** `zpsend status --json`; with `--watch` first all rows, then the changed ones. */
export const fleetOutputSchema = z.strictObject({
  rows: z.array(fleetRowSchema),
  /** Keys of removed entries, and with `--watch` of rows that left the selection. */
  gone: z.array(z.string()),
});

export type StatusSnapshot = z.infer<typeof statusSnapshotSchema>;
export type StatusRun = z.infer<typeof statusRunSchema>;
export type StatusEntry = z.infer<typeof statusEntrySchema>;
export type FleetRow = z.infer<typeof fleetRowSchema>;
export type FleetOutput = z.infer<typeof fleetOutputSchema>;
