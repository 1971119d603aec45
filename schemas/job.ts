import { z } from 'zod';
import { codeSchema, errorBodySchema } from './errors.ts';
import { machineSchema } from './machine.ts';
import { bytesSchema, datasetSchema, hostSchema, idSchema, timeSchema, wouldBeDatasetSchema } from './names.ts';
import { evidenceSchema, noteSchema, settledRequestSchema, stepSchema } from './plan.ts';

/** One target's job. */
export const sendStartedSchema = z.strictObject({ job: idSchema, host: hostSchema });
/** The answer to a request with a list of targets: their jobs, in its order. */
export const fanStartedSchema = z.strictObject({ jobs: z.array(idSchema), host: hostSchema });

/** One dataset of a job. */
const jobDatasetSchema = z.strictObject({
  dataset: datasetSchema,
  targetDataset: wouldBeDatasetSchema,
  /** `refused`: it cannot be sent, and nothing of it was tried. */
  state: z.enum(['pending', 'running', 'waiting', 'done', 'failed', 'refused']),
  /** Steps of its part of the plan and how many of them are done. */
  steps: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  bytes: bytesSchema,
  error: errorBodySchema.optional(),
});

/** How many datasets a job has, and how they fare; the list leaves out some of many, those that are well first. */
export const jobDatasetsSchema = z.strictObject({
  total: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  /** Failed or refused. */
  failed: z.number().int().nonnegative(),
  list: z.array(jobDatasetSchema),
});

/** What a job waits for: a busy receiver, a lock, a connection, room in the store. It stays until the job moves on. */
const waitSchema = z.strictObject({
  code: codeSchema,
  message: z.string().min(1).max(8192),
  /** When the job fails unless it moves on before; absent where it waits for as long as it takes. */
  until: timeSchema.optional(),
});

/** A job as `send.status` and the job events show it. Rates and ETA are the reader's to compute from bytes and seconds. */
export const jobSchema = z.strictObject({
  job: idSchema,
  host: hostSchema,
  instance: idSchema,
  /** The id of the machine that runs it; no other goes on with it. Absent where the machine has none. */
  machine: machineSchema.shape.id,
  /** The job that was asked for, whose sender has died; this one goes on with it. */
  takesOver: idSchema.optional(),
  /** Who looks after it when its sender dies; without, the host's other senders do. */
  startedBy: z.enum(['policy', 'command']).optional(),
  /** The host that ordered it on its own subject, whose rules in `send.allow` it goes by; absent for an order of this host itself. */
  from: hostSchema.optional(),
  request: settledRequestSchema,
  state: z.enum(['planning', 'running', 'waiting', 'done', 'failed']),
  /** It was aborted by request, so no other sender continues it. */
  aborting: z.literal(true).optional(),
  /** Where its steps are done when they are in the store, and its target fetches them later. */
  channel: z.literal('store').optional(),
  /** Steps of the plan and how many of them are done. */
  steps: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
  datasets: jobDatasetsSchema,
  /** What a person should know of it besides, the first of many. */
  notes: z.array(noteSchema).optional(),
  /** The step that runs now; of several, the first. */
  current: stepSchema.optional(),
  /** Bytes of streams sent for the whole job, and what the whole plan is estimated at. */
  bytes: bytesSchema,
  size: bytesSchema,
  /** Of `bytes`, what went over the wire; only where some of it was compressed. */
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
