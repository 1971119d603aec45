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
  job: idSchema.meta({ description: 'The id of the job.' }),
  host: hostSchema.meta({ description: 'The source host.' }),
  instance: idSchema.meta({ description: 'The id of the sender process that runs it.' }),
  machine: machineSchema.shape.id.meta({
    description: 'The id of the machine that runs it; no other machine continues it.',
  }),
  takesOver: idSchema.optional().meta({
    description: 'The original job, whose sender died and which this job continues.',
  }),
  startedBy: z.enum(['policy', 'command']).optional().meta({
    description: 'What restarts it if its sender dies. Without it, another sender of the host continues it.',
  }),
  from: hostSchema.optional().meta({
    description: 'The host that ordered it under its own name, so that the rules for that host in `send.allow` apply.',
  }),
  request: settledRequestSchema.meta({ description: 'The request, with all short forms resolved.' }),
  state: z.enum(['planning', 'running', 'waiting', 'done', 'failed']).meta({ description: 'Its state.' }),
  aborting: z.literal(true).optional().meta({
    description: 'It was aborted by request, so no other sender continues it.',
  }),
  channel: z.literal('store').optional().meta({
    description: 'Its steps are done when they are stored; the target fetches them later.',
  }),
  steps: z.number().int().nonnegative().meta({ description: 'The number of steps in the plan.' }),
  done: z.number().int().nonnegative().meta({ description: 'How many of them are done.' }),
  datasets: jobDatasetsSchema.meta({ description: 'Its datasets: their number by state, and a list of them.' }),
  notes: z.array(noteSchema).optional().meta({ description: 'Notes for people; only the first of many.' }),
  current: stepSchema.optional().meta({ description: 'The running step; the first of several.' }),
  bytes: bytesSchema.meta({ description: 'Bytes of all streams that the job has sent.' }),
  size: bytesSchema.meta({ description: 'The estimated bytes of the whole plan.' }),
  compressedBytes: bytesSchema.optional().meta({
    description: '`bytes` as transmitted; only if some of it was compressed.',
  }),
  started: timeSchema.meta({ description: 'When it started.' }),
  ended: timeSchema.optional().meta({ description: 'When it ended. Present as soon as it is done or failed.' }),
  seconds: z.number().nonnegative().meta({ description: 'Seconds from `started` to now, or to `ended`.' }),
  error: errorBodySchema.optional().meta({ description: 'The error of a failed job.' }),
  evidence: evidenceSchema.optional().meta({ description: 'The snapshots on which a refusal is based.' }),
  waiting: waitSchema.optional().meta({ description: 'What it waits for. Present while its state is `waiting`.' }),
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
