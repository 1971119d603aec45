import { z } from 'zod';

/** Every code that may cross the wire, and whether asking again later can help. The list is closed: adapters map into it. */
export const codes = {
  BAD_REQUEST: 'permanent',
  NOT_ALLOWED: 'permanent',
  NO_SUCH_DATASET: 'permanent',
  NO_SUCH_SNAPSHOT: 'permanent',
  NO_SUCH_JOB: 'permanent',
  NO_SUCH_TRANSFER: 'permanent',
  BASE_MISSING: 'permanent',
  ORIGIN_MISSING: 'permanent',
  EXISTS: 'permanent',
  DIVERGED: 'permanent',
  MODIFIED: 'permanent',
  /** Two machines have one host name, and the wrong one answers. */
  OTHER_MACHINE: 'permanent',
  LOCKED: 'retryable',
  BUSY: 'retryable',
  NO_SPACE: 'permanent',
  /** More than is taken of a peer: of its answers, or of what it keeps in a bucket. */
  TOO_MUCH: 'permanent',
  /** A pool that is imported read-only. */
  READ_ONLY: 'permanent',
  STREAM_BROKEN: 'retryable',
  RESUME_STALE: 'retryable',
  KEY_REQUIRED: 'permanent',
  KEY_MISMATCH: 'permanent',
  UNSUPPORTED: 'permanent',
  UNREACHABLE: 'retryable',
  TIMEOUT: 'retryable',
  ABORTED: 'permanent',
  INTERNAL: 'permanent',
} as const;

export type Code = keyof typeof codes;

export const codeSchema = z.enum(Object.keys(codes) as [Code, ...Code[]]);

/** The error object of every reply, event and final word. `details` holds the evidence; its keys depend on the code. */
export const errorBodySchema = z.strictObject({
  code: codeSchema,
  message: z.string().min(1).max(8192),
  retryable: z.boolean(),
  details: z.record(z.string(), z.json()).optional(),
});

export type ErrorBody = z.infer<typeof errorBodySchema>;
export type ErrorDetails = NonNullable<ErrorBody['details']>;

export const errorReplySchema = z.strictObject({ error: errorBodySchema });

/** An expected failure with a code from the closed list: what happened, to which dataset on which host, and what to do. */
export class ZpsendError extends Error {
  override readonly name = 'ZpsendError';
  readonly code: Code;
  readonly details: ErrorDetails | undefined;

  constructor(code: Code, message: string, details?: ErrorDetails, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return codes[this.code] === 'retryable';
  }

  toBody(): ErrorBody {
    const body = { code: this.code, message: this.message.slice(0, 8192) || this.code, retryable: this.retryable };
    return this.details ? { ...body, details: this.details } : body;
  }

  static fromBody(body: ErrorBody): ZpsendError {
    return new ZpsendError(body.code, body.message, body.details);
  }

  /** Anything thrown becomes a coded error; what is not ours is INTERNAL and keeps its cause. */
  static from(thrown: unknown): ZpsendError {
    if (thrown instanceof ZpsendError) return thrown;
    return new ZpsendError('INTERNAL', textOf(thrown), undefined, { cause: thrown });
  }
}

/** Even an object whose own toString fails has to be told of. */
function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return 'something was thrown that cannot be shown as text';
  }
}

/** The target has the very snapshot that was to come: by another way, or from a job that has ended. */
export const isThere = ({ code, details }: ErrorBody): boolean =>
  code === 'EXISTS' && typeof details?.snapshot === 'string';
