import { z } from 'zod';
import { errorBodySchema } from './errors.ts';
import { bytesSchema, hostSchema, idSchema } from './names.ts';
import { evidenceSchema, sendRequestSchema, stepSchema } from './plan.ts';

export const sendStartedSchema = z.strictObject({ job: idSchema, host: hostSchema });

/** A job as `send.status` and the job events tell it. Rates and ETA are the reader's to compute from bytes and seconds. */
export const jobSchema = z.strictObject({
  job: idSchema,
  host: hostSchema,
  instance: idSchema,
  request: sendRequestSchema,
  state: z.enum(['planning', 'running', 'waiting', 'done', 'failed']),
  /** Steps of the plan and how many of them are done. */
  steps: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  /** The step that runs now. */
  current: stepSchema.optional(),
  /** Bytes sent for the whole job, and what the whole plan is estimated at. */
  bytes: bytesSchema,
  size: bytesSchema,
  seconds: z.number().nonnegative(),
  error: errorBodySchema.optional(),
  evidence: evidenceSchema.optional(),
  /** What it waits for, in words (a busy receiver, a lock, a connection). */
  waiting: z.string().optional(),
});

export const jobRequestSchema = z.strictObject({ job: idSchema });
export const jobStatusRequestSchema = z.strictObject({ job: idSchema.optional() });
export const sendStatusSchema = z.strictObject({ host: hostSchema, jobs: z.array(jobSchema) });
export const jobAbortedSchema = z.strictObject({ job: idSchema, aborted: z.literal(true) });

/** `zfs.<host>.event.job.<what>`; what: started, progress, done, failed. */
export const jobEventSchema = jobSchema;

export type Job = z.infer<typeof jobSchema>;
export type SendStatus = z.infer<typeof sendStatusSchema>;
