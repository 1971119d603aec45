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

/** A moment of the source's own clock. */
const timeSchema = z.iso.datetime();
const countSchema = z.number().int().nonnegative();

/** A snapshot of the source; of a bookmark, the snapshot it was made of has gone. */
const statusSnapshotSchema = z.strictObject({
  name: leafSchema,
  guid: guidSchema,
  /** Seconds since the epoch, by the clock of the host where it was made (zfsprops(7), `creation`). */
  creation: countSchema.optional(),
});

/** What the source has and the target has not. */
const lagSchema = z.strictObject({
  snapshots: countSchema,
  /** Estimated by ZFS's `written`. */
  bytes: bytesSchema,
  /** From the newest sent to the newest at the source, as they were made; absent where nothing was sent. */
  seconds: countSchema.optional(),
});

/** The job that runs, or ran last. */
const statusRunSchema = z.strictObject({
  job: idSchema,
  /** The sender that runs it. */
  instance: idSchema,
  state: z.enum(['running', 'waiting', 'done', 'failed']),
  /** Snapshots that arrived. */
  done: countSchema,
  /** Of streams, in this run. */
  bytes: bytesSchema,
  seconds: z.number().nonnegative(),
  /** Bytes per second lately; only of what runs. */
  rate: bytesSchema.optional(),
});

const statusErrorSchema = z.strictObject({
  code: codeSchema,
  message: z.string().max(1000),
  retryable: z.boolean(),
});

/**
 * The value of a key `<source>.to.<target>.<dataset>[.<target's dataset>]` in the bucket `zfs-status`: facts that stay true when
 * no sender writes any more. Of running, waiting too, the reader judges by the age of the entry whether it can still be so.
 */
export const statusEntrySchema = z.strictObject({
  /** The newest of the source's snapshots that the target has. */
  sent: statusSnapshotSchema.optional(),
  /** What the chain on the target began with, where that is remembered there: what is stored for a target that is away goes on so. */
  stream: streamMarkSchema.optional(),
  /** What wraps the key of an encrypted replica, when it was listed or sent to last: what is stored while the target is away must not change it. */
  wrapping: keyWrappingSchema.optional(),
  newest: statusSnapshotSchema.optional(),
  /** The newest that lies in the store for the target, and that it has not yet. */
  stored: statusSnapshotSchema.optional(),
  lag: lagSchema.optional(),
  /** When the source was listed: `newest` and `lag` are of then. */
  listed: timeSchema.optional(),
  /** The sender that wrote this lists the source again after so many seconds at most; absent where no sender is resident. */
  reconcileSeconds: z.number().positive().optional(),
  run: statusRunSchema.optional(),
  /** Why the run failed; what it waits for; why the target does not take what is stored for it. */
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
  /** In the bucket `zfs-status`. */
  key: z.string(),
  revision: countSchema,
  /** Seconds since this was written, by the NATS server's clock. */
  age: z.number().nonnegative(),
  /** Seconds since the source was listed. No two clocks are compared. */
  listedAge: z.number().nonnegative(),
  /** The row is stale when `listedAge` is more than so many seconds. */
  staleAfter: z.number().nonnegative(),
  /**
   * - `running`, `waiting`: and it was reported lately
   * - `silent`: it was running, and nothing was reported since
   * - `failed`: the last run
   * - `stale`: the source was not listed for longer than `staleAfter`, so it is unknown what the target lacks
   * - `behind`: the source has newer snapshots
   * - `stored`: it has, and the target finds all of them in the store
   * - `current`: the target has the newest
   */
  state: z.enum(['running', 'waiting', 'silent', 'failed', 'stale', 'behind', 'stored', 'current']),
});

/** `zpsend status --json`; with `--watch` all rows at first, and then those that have changed. */
export const fleetOutputSchema = z.strictObject({
  rows: z.array(fleetRowSchema),
  /** Keys of entries that have gone. */
  gone: z.array(z.string()),
});

export type StatusSnapshot = z.infer<typeof statusSnapshotSchema>;
export type StatusRun = z.infer<typeof statusRunSchema>;
export type StatusEntry = z.infer<typeof statusEntrySchema>;
export type FleetRow = z.infer<typeof fleetRowSchema>;
export type FleetOutput = z.infer<typeof fleetOutputSchema>;
