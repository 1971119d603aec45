import { z } from 'zod';
import { codeSchema, errorBodySchema } from './errors.ts';
import { machineSchema } from './machine.ts';
import { bytesSchema, datasetSchema, hostSchema, idSchema, timeSchema, wouldBeDatasetSchema } from './names.ts';
import { evidenceSchema, noteSchema, stepSchema } from './plan.ts';
import { settledRequestSchema } from './request.ts';

/** One target's job. */
export const sendStartedSchema = z.strictObject({ job: idSchema, host: hostSchema });
/** The reply to a request with a list of targets: their jobs, in the same order. */
export const fanStartedSchema = z.strictObject({ jobs: z.array(idSchema), host: hostSchema });

/** One dataset of a job. */
const jobDatasetSchema = z.strictObject({
  dataset: datasetSchema,
  targetDataset: wouldBeDatasetSchema,
  /** `refused`: the plan refused it, so it was not tried. */
  state: z.enum(['pending', 'running', 'waiting', 'done', 'failed', 'refused']),
  /** The number of its steps in the plan, and how many of them are done. */
  steps: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  bytes: bytesSchema,
  error: errorBodySchema.optional(),
});

/** The number of a job's datasets by state. A list that is too long omits healthy datasets first. */
export const jobDatasetsSchema = z.strictObject({
  total: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  /** Failed or refused. */
  failed: z.number().int().nonnegative(),
  list: z.array(jobDatasetSchema),
});

/** What a job waits for: a busy receiver, a lock, a connection, space in the store. It stays until the job continues. */
const waitSchema = z.strictObject({
  code: codeSchema,
  message: z.string().min(1).max(8192),
  /** When the job fails if it still waits; absent if it waits without a limit. */
  until: timeSchema.optional(),
});

/** A job as in `send.status` and the job events. A reader computes rates and ETA from bytes and seconds. */
export const jobSchema = z.strictObject({
  job: idSchema,
  host: hostSchema,
  instance: idSchema,
  /** The id of the machine that runs it; no other machine continues it. Absent if the machine has none. */
  machine: machineSchema.shape.id,
  /** The original job, whose sender died and which this job continues. */
  takesOver: idSchema.optional(),
  /** What restarts it if its sender dies; when absent, another sender of the host continues it. */
  startedBy: z.enum(['policy', 'command']).optional(),
  /** The host that ordered it under its own name, so that the rules for that host in `send.allow` apply; absent if this host did. */
  from: hostSchema.optional(),
  request: settledRequestSchema,
  state: z.enum(['planning', 'running', 'waiting', 'done', 'failed']),
  /** It was aborted by request, so no other sender continues it. */
  aborting: z.literal(true).optional(),
  /** Its steps are done when they are stored; the target fetches them later. */
  channel: z.literal('store').optional(),
  /** The number of steps in the plan, and how many of them are done. */
  steps: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  datasets: jobDatasetsSchema,
  /** Notes for people; only the first of many. */
  notes: z.array(noteSchema).optional(),
  /** The running step; the first of several. */
  current: stepSchema.optional(),
  /** Bytes of all streams that the job has sent, and the estimate for the whole plan. */
  bytes: bytesSchema,
  size: bytesSchema,
  /** `bytes` as transmitted; only if some of it was compressed. */
  compressedBytes: bytesSchema.optional(),
  started: timeSchema,
  /** Present as soon as it is done or failed. */
  ended: timeSchema.optional(),
  /** From `started` to now, or to `ended`. */
  seconds: z.number().nonnegative(),
  error: errorBodySchema.optional(),
  evidence: evidenceSchema.optional(),
  /** Present while its state is `waiting`. */
  waiting: waitSchema.optional(),
});

export const jobRequestSchema = z.strictObject({ job: idSchema });
export const jobStatusRequestSchema = z.strictObject({
  job: idSchema.optional(),
  /** Only jobs that have not ended. */
  running: z.boolean().optional(),
});
export const sendStatusSchema = z.strictObject({ host: hostSchema, jobs: z.array(jobSchema) });
export const jobAbortedSchema = z.strictObject({ job: idSchema, aborted: z.literal(true) });

export type SendStarted = z.infer<typeof sendStartedSchema>;
export type JobStatusRequest = z.infer<typeof jobStatusRequestSchema>;
export type JobDataset = z.infer<typeof jobDatasetSchema>;
export type Wait = z.infer<typeof waitSchema>;
export type Job = z.infer<typeof jobSchema>;
