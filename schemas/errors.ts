import { z } from 'zod';
import { type CodeEntry, codes, commonReasons } from './error-codes.ts';

export type Code = keyof typeof codes;

type ReasonsOf<C extends Code> = (typeof codes)[C] extends { readonly reasons: infer R } ? keyof R & string : never;

/** What the reason of an error with this code may be; of several codes, that of any of them. */
export type Reason<C extends Code = Code> = (C extends Code ? ReasonsOf<C> : never) | keyof typeof commonReasons;

/** The reasons of a code, with what each means. */
export function reasonsOf(code: Code): Readonly<Record<string, string>> {
  const entry: CodeEntry = codes[code];
  return { ...entry.reasons, ...commonReasons };
}

export const codeSchema = z.enum(Object.keys(codes) as [Code, ...Code[]]);

/**
 * The error object of every reply, event and final word. `details` holds the evidence; its keys depend on the code. Of `details.reason`
 * the code decides, with `hasReason`.
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

/** What the details of an error with this code may be. */
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

  /** Anything thrown becomes a coded error; what is not ours is INTERNAL and keeps its cause. */
  static from(thrown: unknown): ZpsendError {
    if (thrown instanceof CodedError) return thrown;
    return new CodedError('INTERNAL', textOf(thrown), undefined, { cause: thrown });
  }
}

/** As the class has them; only the constructor is narrower, since a reason has to be one of its code. */
interface ZpsendErrorClass {
  new <C extends Code>(code: C, message: string, details?: DetailsOf<C>, options?: ErrorOptions): CodedError;
  readonly prototype: CodedError;
  fromBody(body: ErrorBody): ZpsendError;
  from(thrown: unknown): ZpsendError;
}

/** An expected failure with a code from the closed list: what happened, to which dataset on which host, and what to do. */
export const ZpsendError: ZpsendErrorClass = CodedError;
export type ZpsendError = CodedError;

/** What is read of an error to find its reason. */
export interface Reasoned<C extends Code = Code> {
  readonly code: C;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** The reason of an error. A newer release may give one that this release does not know, which is treated as none. */
export function reasonOf<C extends Code>({ code, details }: Reasoned<C>): Reason<C> | undefined {
  const isKnown = (reason: unknown): reason is Reason<C> =>
    typeof reason === 'string' && Object.hasOwn(reasonsOf(code), reason);
  return isKnown(details?.reason) ? details.reason : undefined;
}

/** Has the error this code, and this reason? */
export const hasReason = <C extends Code>(error: Reasoned, code: C, reason: Reason<C>): boolean =>
  error.code === code && reasonOf(error) === reason;

/** An object whose own toString fails has a text, too. */
function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return 'something was thrown that cannot be shown as text';
  }
}
