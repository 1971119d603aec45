import { z } from 'zod';
import { type CodeEntry, codes, commonReasons } from './error-codes.ts';

export type Code = keyof typeof codes;

type ReasonsOf<C extends Code> = (typeof codes)[C] extends { readonly reasons: infer R } ? keyof R & string : never;

/** The reasons that an error with this code may have; for several codes, those of any of them. */
export type Reason<C extends Code = Code> = (C extends Code ? ReasonsOf<C> : never) | keyof typeof commonReasons;

/** The reasons of a code, with what each means. */
export function reasonsOf(code: Code): Readonly<Record<string, string>> {
  const entry: CodeEntry = codes[code];
  return { ...entry.reasons, ...commonReasons };
}

export const codeSchema = z.enum(Object.keys(codes) as [Code, ...Code[]]);

/**
 * The error object of replies, events and final messages. `details` has the evidence; its keys depend on the code. Check
 * `details.reason` with `hasReason`.
 */
export const errorBodySchema = z.strictObject({
  code: codeSchema,
  message: z.string().min(1).max(8192),
  retryable: z.boolean(),
  details: z.record(z.string(), z.json()).optional(),
});

export type ErrorBody = z.infer<typeof errorBodySchema>;
export type ErrorDetails = NonNullable<ErrorBody['details']>;

export const errorReplySchema = z.strictObject({ error: errorBodySchema });

/** The details of an error with this code. */
export type DetailsOf<C extends Code> = ErrorDetails & { readonly reason?: Reason<C> };

class CodedError extends Error {
  override readonly name = 'ZpsendError';
  readonly code: Code;
  readonly details: ErrorDetails | undefined;

  constructor(code: Code, message: string, details?: ErrorDetails, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return codes[this.code].kind === 'retryable';
  }

  get reason(): Reason | undefined {
    return reasonOf(this);
  }

  toBody(): ErrorBody {
    const body = { code: this.code, message: this.message.slice(0, 8192) || this.code, retryable: this.retryable };
    return this.details ? { ...body, details: this.details } : body;
  }

  static fromBody(body: ErrorBody): ZpsendError {
    return new CodedError(body.code, body.message, body.details);
  }

  /** Converts anything thrown to a coded error; any other error becomes INTERNAL and is kept as the cause. */
  static from(thrown: unknown): ZpsendError {
    if (thrown instanceof CodedError) return thrown;
    return new CodedError('INTERNAL', textOf(thrown), undefined, { cause: thrown });
  }
}

/** The interface of the class, with a narrower constructor: a reason has to belong to its code. */
interface ZpsendErrorClass {
  new <C extends Code>(code: C, message: string, details?: DetailsOf<C>, options?: ErrorOptions): CodedError;
  readonly prototype: CodedError;
  fromBody(body: ErrorBody): ZpsendError;
  from(thrown: unknown): ZpsendError;
}

/** An expected failure with a code from the closed list: what happened, to which dataset on which host, and what to do. */
export const ZpsendError: ZpsendErrorClass = CodedError;
export type ZpsendError = CodedError;

/** The fields of an error that determine its reason. */
export interface Reasoned<C extends Code = Code> {
  readonly code: C;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** The reason of an error; undefined for a reason of a newer release that this one does not know. */
export function reasonOf<C extends Code>({ code, details }: Reasoned<C>): Reason<C> | undefined {
  const isKnown = (reason: unknown): reason is Reason<C> =>
    typeof reason === 'string' && Object.hasOwn(reasonsOf(code), reason);
  return isKnown(details?.reason) ? details.reason : undefined;
}

/** Has the error this code, and this reason? */
export const hasReason = <C extends Code>(error: Reasoned, code: C, reason: Reason<C>): boolean =>
  error.code === code && reasonOf(error) === reason;

/** The text of anything thrown, even if its toString throws. */
function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return 'a value was thrown that cannot be converted to text';
  }
}
