import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { infoSchema } from './host.ts';
import { jobSchema } from './job.ts';
import { hostRecordSchema } from './machine.ts';
import { bytesSchema, datasetSchema, hostSchema, idSchema } from './names.ts';
import { notRepairedSchema, staleMarkSchema } from './stale.ts';
import { lockSchema, transferStateSchema } from './transfer.ts';

/** `zpsend hosts --json` */
export const hostsOutputSchema = z.strictObject({
  hosts: z.array(
    infoSchema.extend({
      /** The machine for which the name is registered. */
      registered: hostRecordSchema.optional(),
      /** The fault of the name: two machines answer for it, or one for which it is not registered. */
      fault: z.string().optional(),
    }),
  ),
});

/** `zpsend status --jobs --json`, or with a host: the jobs and transfers of each. */
export const statusOutputSchema = z.strictObject({
  hosts: z.array(
    z.strictObject({ host: hostSchema, jobs: z.array(jobSchema), transfers: z.array(transferStateSchema) }),
  ),
});

/** `zpsend locks --json` */
export const locksOutputSchema = z.strictObject({
  locks: z.array(
    lockSchema.omit({ nonce: true }).extend({
      host: hostSchema,
      dataset: datasetSchema,
      revision: z.number().int().positive(),
      /** ISO 8601, the NATS server's clock. */
      renewed: z.string(),
    }),
  ),
});

/** `zpsend store ls HOST --json`: the streams in its store, in order. */
export const fetchOutputSchema = z.strictObject({
  host: hostSchema,
  streams: z.array(
    z.strictObject({
      id: idSchema,
      bytes: bytesSchema,
      snapshot: z.string(),
      isFull: z.boolean(),
      targets: z.array(
        z.strictObject({
          host: hostSchema,
          dataset: datasetSchema,
          /** As the target reports it. A sender deletes the stream once it is delivered to or rejected by all. */
          state: z.enum(['waiting', 'receiving', 'delivered', 'rejected']),
          /** Why it was rejected, or still waits. */
          error: errorBodySchema.optional(),
        }),
      ),
    }),
  ),
});

/** `zpsend doctor --json` */
export const doctorOutputSchema = z.strictObject({
  checks: z.array(
    z.strictObject({
      what: z.string(),
      result: z.enum(['good', 'note', 'bad']),
      found: z.string(),
      /** What to do about it. */
      remedy: z.string().optional(),
    }),
  ),
  /** The stale marks that were found on this host. */
  staleMarks: z.array(staleMarkSchema),
  /** With `--fix`: those that were repaired. */
  repaired: z.array(staleMarkSchema),
  notRepaired: z.array(notRepairedSchema),
});

/** `zpsend config show --json` */
export const configOutputSchema = z.strictObject({
  settings: z.array(
    z.strictObject({
      /** `send.parallel` */
      key: z.string(),
      /** Absent if nothing sets it. */
      value: z.unknown().optional(),
      /** `default`, `file PATH`, the name of a variable, or a NATS context. */
      source: z.string(),
    }),
  ),
});

export type ConfigOutput = z.infer<typeof configOutputSchema>;
export type HostsOutput = z.infer<typeof hostsOutputSchema>;
export type StatusOutput = z.infer<typeof statusOutputSchema>;
export type LocksOutput = z.infer<typeof locksOutputSchema>;
export type FetchOutput = z.infer<typeof fetchOutputSchema>;
export type DoctorOutput = z.infer<typeof doctorOutputSchema>;
export type Check = z.infer<typeof doctorOutputSchema>['checks'][number];
