import { z } from 'zod';
import { allowedConflictSchema } from './conflict.ts';
import { datasetSchema, hostSchema, jetStreamDomainSchema, propertyValueSchema } from './names.ts';
import { natsConfigSchema } from './nats.ts';
import { maxPolicies, policySchema } from './policy.ts';
import { propertyPatternSchema, receivablePropertySchema } from './properties.ts';
import { maxParallel } from './request.ts';
import { channelSchema, compressionModeSchema } from './transfer.ts';
import { duration, flag, rate, size } from './units.ts';

const allowSchema = z.strictObject({
  /** A source host, or "*" for every host. */
  from: z.union([z.literal('*'), hostSchema]),
  /** That host may write into this dataset and below it. */
  into: datasetSchema,
  /** The conflict policies that its requests may use there, besides `refuse`. */
  conflicts: z.array(allowedConflictSchema).default([]),
  /** Properties that its requests may set, or take from the stream if they are excluded here; none when absent. */
  properties: z.array(propertyPatternSchema).optional(),
});

export const receiveConfigSchema = z.strictObject({
  maxConcurrent: z.number().int().min(1).max(64).default(4),
  allow: z.array(allowSchema).default([]),
  /** The limit of all receives together, in bytes per second. */
  bwlimit: rate.optional(),
  /** Other JetStream domains, for example of a hub, in which sources store streams for this host. The domain of its server is always read. */
  storeDomains: z.array(jetStreamDomainSchema).max(16).default([]),
  /** Hold the newest received snapshot of each dataset, so that the base of the next incremental is not destroyed. */
  holdNewest: flag.default(true),
  properties: z
    .strictObject({
      /** `zfs receive -o`; replicas are readonly unless this sets it, since mounting alters them (openzfs#6741). */
      set: z.record(receivablePropertySchema, propertyValueSchema).default({ readonly: 'on' }),
      /** `zfs receive -x` */
      exclude: z.array(receivablePropertySchema).default([]),
    })
    .prefault({}),
});

const sendAllowSchema = z.strictObject({
  /** This dataset and its descendants. Of several matching rules, those of the deepest dataset decide. */
  dataset: datasetSchema,
  /** A target host, or "*" for every host. */
  to: z.union([z.literal('*'), hostSchema]),
  /** `required`: no plain stream of it leaves this host. */
  raw: z.enum(['required', 'any']).default('any'),
  /** A host that may order this under its own name, or "*"; when absent, only administrators of this host. */
  from: z.union([z.literal('*'), hostSchema]).optional(),
});

export const sendConfigSchema = z.strictObject({
  /** Which datasets may be sent to which hosts; when absent, all to all. */
  allow: z.array(sendAllowSchema).optional(),
  /** How many datasets of a package are sent at once, unless the request sets it. */
  parallel: z.number().int().min(1).max(maxParallel).default(2),
  /** Whether streams are compressed in transit, unless the request sets it. */
  compression: compressionModeSchema.default('none'),
  /** The channel of the streams, unless the request sets it. */
  channel: channelSchema.default('direct'),
  /** The object store `zfs-streams-<host>` for offline targets; these settings apply when its bucket is created. */
  store: z
    .strictObject({
      /** The size limit in bytes; further streams wait at the source. */
      maxBytes: size(
        z
          .number()
          .int()
          .min(64 * 1024 * 1024),
      ).default(16 * 1024 ** 3),
      /** Streams that are not fetched in this time are dropped, and sent again when their target answers. */
      maxAgeHours: duration(z.number().min(1).max(8760), 3600, 'hours').default(168),
      /** Replicas in a NATS cluster: with 3, streams survive the loss of one server; 1 takes a third of the space. */
      replicas: z.number().int().min(1).max(5).default(3),
    })
    .prefault({}),
  /** Keep a bookmark on the source of the newest snapshot of each target, so that all snapshots there may be destroyed. */
  bookmarks: flag.default(true),
  /** The jobs that a new snapshot on this host starts. */
  policies: z.array(policySchema).max(maxPolicies).default([]),
  /** The interval at which every policy runs, besides snapshot events, in minutes. */
  reconcileMinutes: duration(z.number().min(0.05).max(10080), 60, 'minutes').default(10),
});

export const timingConfigSchema = z.strictObject({
  /** Time to live of a lock, in seconds; a receiver that cannot renew it ends its receive before that. */
  lockSeconds: duration(z.number().min(1).max(3600), 1, 'seconds').default(30),
  /** Either end of a transfer gives up after this many seconds without a message from the other. */
  silenceSeconds: duration(z.number().min(1).max(3600), 1, 'seconds').default(15),
  /**
   * How long a job retries while a receiver is absent, or the owner of a lock seems dead, in seconds. A job waits without a limit for a
   * receiver that has reached maxConcurrent.
   */
  patienceSeconds: duration(z.number().min(0).max(86400), 1, 'seconds').default(120),
});

/** The whole configuration file; environment variables have precedence. */
export const configSchema = z.strictObject({
  host: hostSchema.optional(),
  /** Replaces the machine's id (/etc/machine-id): for a machine without one, or for two machines that share one host name in turn. */
  machineId: z.string().min(1).max(256).optional(),
  nats: natsConfigSchema.optional(),
  receive: receiveConfigSchema.prefault({}),
  send: sendConfigSchema.prefault({}),
  timing: timingConfigSchema.prefault({}),
});

export type Config = z.infer<typeof configSchema>;
export type ReceiveConfig = z.infer<typeof receiveConfigSchema>;
export type SendConfig = z.infer<typeof sendConfigSchema>;
