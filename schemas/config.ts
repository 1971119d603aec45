import { z } from 'zod';
import { allowedConflictSchema } from './conflict.ts';
import { datasetSchema, hostSchema, jetStreamDomainSchema, propertyValueSchema } from './names.ts';
import { natsConfigSchema } from './nats.ts';
import { maxPolicies, policySchema } from './policy.ts';
import { propertyPatternSchema, receivablePropertySchema } from './properties.ts';
import { maxParallel } from './request.ts';
import { channelSchema, compressionModeSchema } from './transfer.ts';
import { duration, flag, rate, size } from './units.ts';

const hostOrAll = z.union([z.literal('*'), hostSchema]).meta({ title: 'host, or "*" for all' });

/** YAML reads a section whose keys are all comments as null. It has its defaults, as an absent one. */
const section = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (value === null ? {} : value), schema).prefault({});

const allowSchema = z.strictObject({
  from: hostOrAll.meta({ description: 'The source host that may write here.' }),
  into: datasetSchema.meta({ description: 'The dataset into which, and below which, it may write.' }),
  conflicts: z
    .array(allowedConflictSchema)
    .default([])
    .meta({ description: 'What its requests may do to a diverged target, besides `refuse`.' }),
  properties: z.array(propertyPatternSchema).optional().meta({
    description:
      'Properties that its requests may set, or take from the stream if they are excluded here. Without it: none.',
  }),
});

export const receiveConfigSchema = z.strictObject({
  allow: z
    .array(allowSchema)
    .default([])
    .meta({
      description: 'Which hosts may write into which datasets of this host. Without a rule, nothing is received.',
      examples: [[{ from: 'smos-00', into: 'zones/backup', conflicts: ['rollback'] }]],
    }),
  maxConcurrent: z
    .number()
    .int()
    .min(1)
    .max(64)
    .default(4)
    .meta({ description: 'How many streams this host receives at once. Further jobs wait.' }),
  bwlimit: rate.optional().meta({
    description: 'The limit of all receives together, in bytes per second. Without it: no limit.',
    examples: ['100M'],
  }),
  storeDomains: z
    .array(jetStreamDomainSchema)
    .max(16)
    .default([])
    .meta({
      description:
        'Other JetStream domains in which sources store streams for this host, for example of a hub. ' +
        "The domain of this host's server is always read.",
      examples: [['hub']],
    }),
  holdNewest: flag.default(true).meta({
    description: 'Hold the newest received snapshot of each dataset. It is the base of the next incremental.',
  }),
  properties: section(
    z.strictObject({
      set: z
        .record(receivablePropertySchema, propertyValueSchema)
        .default({ readonly: 'on' })
        .meta({
          description:
            'Properties to set on each received dataset, as `zfs receive -o`. ' +
            'A mount can alter a replica (openzfs#6741), so keep `readonly`.',
        }),
      exclude: z
        .array(receivablePropertySchema)
        .default([])
        .meta({
          description: 'Properties of streams that take no effect here, as `zfs receive -x`.',
          examples: [['mountpoint', 'sharenfs']],
        }),
    }),
  ).meta({ description: 'Properties of received datasets.' }),
});

const sendAllowSchema = z.strictObject({
  dataset: datasetSchema.meta({
    description: 'The dataset with its descendants. If several rules match, only those of the deepest dataset count.',
  }),
  to: hostOrAll.meta({ description: 'The target host.' }),
  raw: z.enum(['required', 'any']).default('any').meta({
    description: '`required`: only raw streams of it leave this host, so it has to be encrypted.',
  }),
  from: hostOrAll
    .optional()
    .meta({ description: 'The host that may order this under its own name. Without it: administrators of this host.' }),
});

const storeConfigSchema = z.strictObject({
  maxBytes: size(
    z
      .number()
      .int()
      .min(64 * 1024 * 1024),
  )
    .default(16 * 1024 ** 3)
    .meta({ description: 'The size limit. Further streams wait at the source.' }),
  maxAgeHours: duration(z.number().min(1).max(8760), 3600, 'hours').default(168).meta({
    description: 'Older streams are dropped, and sent again when their target answers.',
  }),
  replicas: z.number().int().min(1).max(5).default(3).meta({
    description: 'Replicas in a NATS cluster. With 3, streams survive the loss of one server.',
  }),
});

export const sendConfigSchema = z.strictObject({
  allow: z
    .array(sendAllowSchema)
    .optional()
    .meta({
      description: 'Which datasets may be sent to which hosts. Without it: all to all.',
      examples: [[{ dataset: 'zones/vm', to: 'smos-00', raw: 'required' }]],
    }),
  policies: z
    .array(policySchema)
    .max(maxPolicies)
    .default([])
    .meta({
      description: 'The jobs that a new snapshot on this host starts.',
      examples: [
        [{ dataset: 'zones/vm', recursive: true, to: ['smos-00', 'dr-1:tank/vm'], exclude: ['zones/vm/*/tmp'] }],
      ],
    }),
  reconcileMinutes: duration(z.number().min(0.05).max(10080), 60, 'minutes').default(10).meta({
    description: 'The interval at which every policy runs, besides snapshot events.',
  }),
  parallel: z
    .number()
    .int()
    .min(1)
    .max(maxParallel)
    .default(2)
    .meta({ description: 'How many datasets of a package are sent at once, unless the request sets it.' }),
  compression: compressionModeSchema.default('none').meta({
    description:
      'Whether streams are compressed in transit, unless the request sets it. `zstd`: if the receiver supports it. ' +
      '`auto`: only if it also saves bytes.',
  }),
  channel: channelSchema.default('direct').meta({
    description:
      'How streams reach their target, unless the request sets it. `direct`: only while its receiver answers. ' +
      '`store`: into the object store, from which the target fetches them. `auto`: `store` if the target is offline.',
  }),
  bookmarks: flag.default(true).meta({
    description:
      'Keep a bookmark of the newest snapshot of each target. Then all snapshots on the source may be destroyed.',
  }),
  store: section(storeConfigSchema).meta({
    description:
      'The object store `zfs-streams-<host>` for offline targets. The settings apply when its bucket is created.',
  }),
});

export const timingConfigSchema = z.strictObject({
  lockSeconds: duration(z.number().min(1).max(3600), 1, 'seconds')
    .default(30)
    .meta({
      description:
        'Time to live of a lock, for a new bucket `zfs-locks`. A receiver that cannot renew its lock ends its receive before that. ' +
        'To change an existing bucket, use `nats stream edit KV_zfs-locks --max-age`.',
    }),
  silenceSeconds: duration(z.number().min(1).max(3600), 1, 'seconds').default(15).meta({
    description: 'Either end of a transfer gives up after this time without a message from the other.',
  }),
  patienceSeconds: duration(z.number().min(0).max(86400), 1, 'seconds')
    .default(120)
    .meta({
      description:
        'How long a job retries while a receiver is absent, or the owner of a lock seems dead. ' +
        'A job waits without a limit for a receiver that has reached `maxConcurrent`.',
    }),
});

/** The whole configuration file; environment variables have precedence. */
export const configSchema = z.strictObject({
  host: hostSchema.optional().meta({
    description: "The name of this host on the bus. Without it: the system's host name, with `-` for each dot.",
    examples: ['smos-01'],
  }),
  machineId: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .meta({
      description:
        'Replaces the id of the machine (`/etc/machine-id`). ' +
        'Use it for a machine without an id, or for two machines that have one host name in turn.',
      examples: ['rack-4-unit-12'],
    }),
  nats: z
    .preprocess((value) => value ?? undefined, natsConfigSchema.optional())
    .optional()
    .meta({
      description: 'The NATS server, and the identity of this host. Without it: the environment, then the defaults.',
    }),
  receive: section(receiveConfigSchema).meta({ description: 'The receiver of this host.' }),
  send: section(sendConfigSchema).meta({ description: 'The sender of this host.' }),
  timing: section(timingConfigSchema).meta({ description: 'Time limits. Use the same ones on all hosts.' }),
});

export type Config = z.infer<typeof configSchema>;
export type ReceiveConfig = z.infer<typeof receiveConfigSchema>;
export type SendConfig = z.infer<typeof sendConfigSchema>;
