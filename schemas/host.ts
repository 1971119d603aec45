import { z } from 'zod';
import { machineSchema } from './machine.ts';
import { bytesSchema, datasetSchema, hostSchema, idSchema } from './names.ts';
import { protocolSchema } from './protocol.ts';

/** `zfs.<host>.snapshots`: one dataset (with its descendants when recursive), or everything. */
export const snapshotsRequestSchema = z.strictObject({
  dataset: datasetSchema.optional(),
  recursive: z.boolean().optional(),
  /** List the creation times of snapshots and bookmarks. */
  creation: z.boolean().optional(),
});

const poolSchema = z.strictObject({
  name: z.string(),
  size: bytesSchema,
  allocated: bytesSchema,
  free: bytesSchema,
  health: z.string(),
  /** Imported with `zpool import -o readonly=on`: its snapshots can be sent, and nothing can be received. */
  readOnly: z.boolean(),
});

const instanceSchema = z.strictObject({
  service: z.enum(['sender', 'receiver']),
  instance: idSchema,
  pid: z.number().int(),
  version: z.string(),
  /** The machine on which it runs. */
  machine: machineSchema,
});

/** `zfs.<host>.info` */
export const infoSchema = z.strictObject({
  protocol: protocolSchema,
  host: hostSchema,
  /** The machine of the instance that answers. Each instance also reports its machine; normally all are equal. */
  machine: machineSchema,
  version: z.string(),
  node: z.string(),
  /** The first line of `zfs version`; absent if ZFS does not answer, and then `zfsError` has the reason. */
  zfs: z.string().optional(),
  zfsError: z.string().optional(),
  pools: z.array(poolSchema),
  limits: z.strictObject({
    maxConcurrentReceives: z.number().int().positive().optional(),
    window: bytesSchema.optional(),
    /** The limit of all receives together, in bytes per second. */
    bwlimit: bytesSchema.optional(),
  }),
  instances: z.array(instanceSchema),
});

/** The reply of each instance on `zfs.<host>.info.each`. */
export const eachInfoSchema = z.strictObject({ instances: z.array(instanceSchema), limits: infoSchema.shape.limits });

export type SnapshotsRequest = z.infer<typeof snapshotsRequestSchema>;
export type Info = z.infer<typeof infoSchema>;
export type Pool = z.infer<typeof poolSchema>;
export type Instance = z.infer<typeof instanceSchema>;
