import { z } from 'zod';
import { allowedConflictSchema } from './conflict.ts';
import { datasetSchema, hostSchema, jetStreamDomainSchema, propertyValueSchema } from './names.ts';
import { natsConfigSchema } from './nats.ts';
import { maxParallel } from './plan.ts';
import { maxPolicies, policySchema } from './policy.ts';
import { propertyPatternSchema, receivablePropertySchema } from './properties.ts';
import { channelSchema, compressionModeSchema } from './transfer.ts';
import { duration, flag, rate, size } from './units.ts';

const allowSchema = z.strictObject({
  /** A source host, or "*" for every host. */
  from: z.union([z.literal('*'), hostSchema]),
  /** That host may write into this dataset and below it. */
  into: datasetSchema,
  /** What else that host may have done there, where a request's conflict policy asks for it. */
  conflicts: z.array(allowedConflictSchema).default([]),
  /** Properties that its requests may set, or let a stream decide that is otherwise left out; none without. */
  properties: z.array(propertyPatternSchema).optional(),
});

export const receiveConfigSchema = z.strictObject({
  maxConcurrent: z.number().int().min(1).max(64).default(4),
  allow: z.array(allowSchema).default([]),
  /** What all receives together may take in, in bytes per second. */
  bwlimit: rate.optional(),
  /** Other JetStream domains, a hub's for example, in which sources keep streams for this host; that of its own server is looked in anyway. */
  storeDomains: z.array(jetStreamDomainSchema).max(16).default([]),
  /** Hold the newest received snapshot of each dataset, so that nothing here destroys the base of the next incremental. */
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
  /** This dataset and what lies below it. Of several rules those of the deepest dataset decide. */
  dataset: datasetSchema,
  /** A target host, or "*" for every host. */
  to: z.union([z.literal('*'), hostSchema]),
  /** `required`: no plain stream of it leaves this host for any request. */
  raw: z.enum(['required', 'any']).default('any'),
  /** A host that may order this on its own subject, or "*"; without, this host's own administrators. */
  from: z.union([z.literal('*'), hostSchema]).optional(),
});

export const sendConfigSchema = z.strictObject({
  /** What may be sent where; without, everything. */
  allow: z.array(sendAllowSchema).optional(),
  /** Datasets of a package that are sent at once, unless the request has it. */
  parallel: z.number().int().min(1).max(maxParallel).default(2),
  /** Whether streams are compressed in transit, unless the request has it. */
  compression: compressionModeSchema.default('none'),
  /** By which channel streams go, unless the request has it. */
  channel: channelSchema.default('direct'),
  /** What waits for targets that do not answer, in the object store `zfs-streams-<host>`; used when its bucket is made. */
  store: z
    .strictObject({
      /** Bytes that may wait; more waits at the source. */
      maxBytes: size(
        z
          .number()
          .int()
          .min(64 * 1024 * 1024),
      ).default(16 * 1024 ** 3),
      /** After so many hours what was not fetched is dropped, and sent again when its target answers. */
      maxAgeHours: duration(z.number().min(1).max(8760), 3600, 'hours').default(168),
      /** Copies in a NATS cluster of as many servers: with three, one may be lost and streams still wait; 1 takes a third of the room. */
      replicas: z.number().int().min(1).max(5).default(3),
    })
    .prefault({}),
  /** On the source a bookmark of what each target has, so that its snapshots may all be destroyed. */
  bookmarks: flag.default(true),
  /** What a new snapshot of this host's sets off. */
  policies: z.array(policySchema).max(maxPolicies).default([]),
  /** Every policy is run this often, in minutes, besides the events of new snapshots. */
  reconcileMinutes: duration(z.number().min(0.05).max(10080), 60, 'minutes').default(10),
});

export const timingConfigSchema = z.strictObject({
  /** Time to live of a lock, in seconds; a receiver that cannot renew it ends its receive before that. */
  lockSeconds: duration(z.number().min(1).max(3600), 1, 'seconds').default(30),
  /** Either end of a transfer gives up after this many seconds without a word from the other. */
  silenceSeconds: duration(z.number().min(1).max(3600), 1, 'seconds').default(15),
  /**
   * How long a job goes on trying while a receiver is absent, or a lock is held whose owner looks dead, in seconds. A receiver
   * that has no room yet is waited for as long as it takes.
   */
  patienceSeconds: duration(z.number().min(0).max(86400), 1, 'seconds').default(120),
});

/** The whole configuration file; environment variables come first where both exist. */
export const configSchema = z.strictObject({
  host: hostSchema.optional(),
  /** In place of the machine's own id (/etc/machine-id): where it has none, or where two machines take turns under one name. */
  machineId: z.string().min(1).max(256).optional(),
  nats: natsConfigSchema.optional(),
  receive: receiveConfigSchema.prefault({}),
  send: sendConfigSchema.prefault({}),
  timing: timingConfigSchema.prefault({}),
});

export type Config = z.infer<typeof configSchema>;
export type ReceiveConfig = z.infer<typeof receiveConfigSchema>;
export type SendConfig = z.infer<typeof sendConfigSchema>;
