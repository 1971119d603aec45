import type { z } from 'zod';
import { type ErrorBody, errorReplySchema, ZpsendError } from '../../../schemas/errors.ts';
import { faultOf, faultWords } from '../../../schemas/issue-words.ts';
import { protocol } from '../../../schemas/protocol.ts';

/** The limit of a request; valid requests are small. */
export const maxRequestBytes = 256 * 1024;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The first fault that a schema found, with its path. */
export function explain(error: z.ZodError): string {
  const issue = error.issues[0];
  if (!issue) return 'not valid';
  return faultWords(faultOf(issue));
}

/** A body as text. @throws ZpsendError BAD_REQUEST when it is too large or not UTF-8 */
function textOf(data: Uint8Array): string {
  if (data.length > maxRequestBytes) {
    throw new ZpsendError('BAD_REQUEST', `the request has ${data.length} bytes; the limit is ${maxRequestBytes}`);
  }
  try {
    return decoder.decode(data);
  } catch {
    throw new ZpsendError('BAD_REQUEST', 'the request is not UTF-8 text');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `the request is not valid JSON: ${error instanceof Error ? error.message : error}`,
      { reason: 'not-json' },
    );
  }
}

/**
 * Checks the version of the protocol before other fields, whose meaning may differ in another version.
 * @throws ZpsendError UNSUPPORTED
 */
function checkProtocol(value: unknown, what: 'request' | 'reply'): void {
  if (typeof value !== 'object' || value === null || !('protocol' in value)) return;
  const { protocol: named } = value;
  if (typeof named !== 'number' || named === protocol) return;
  throw new ZpsendError(
    'UNSUPPORTED',
    `the ${what} has version ${named} of zpsend's protocol, but this release reads version ${protocol}: run the same release of zpsend on both hosts`,
    { reason: 'protocol', protocol: named, reads: protocol },
  );
}

/**
 * A request's body: empty, plain text (the main argument) or JSON. It has no effect before its schema check (I10).
 * @throws ZpsendError BAD_REQUEST, or UNSUPPORTED for another version of the protocol
 */
export function decodeRequest<S extends z.ZodType>(
  data: Uint8Array,
  schema: S,
  fromText?: (text: string) => unknown,
): z.output<S> {
  const text = textOf(data);
  const trimmed = text.replace(/\r?\n$/, '');
  let value: unknown;
  if (trimmed.trim() === '') value = {};
  else if (/^\s*[{[]/.test(trimmed)) value = parseJson(trimmed);
  else if (fromText) value = fromText(trimmed);
  else throw new ZpsendError('BAD_REQUEST', 'this subject requires a JSON object');
  checkProtocol(value, 'request');
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new ZpsendError('BAD_REQUEST', `bad request: ${explain(parsed.error)}`);
  return parsed.data;
}

/**
 * A reply's body.
 * @throws ZpsendError the error in the reply, UNSUPPORTED for another version of the protocol, or INTERNAL for an invalid reply
 */
export function decodeReply<S extends z.ZodType>(data: Uint8Array, schema: S): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(data));
  } catch {
    throw new ZpsendError('INTERNAL', 'the reply is not JSON');
  }
  const failed = errorReplySchema.safeParse(value);
  if (failed.success) throw ZpsendError.fromBody(failed.data.error);
  checkProtocol(value, 'reply');
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new ZpsendError('INTERNAL', `the reply is invalid: ${explain(parsed.error)}`);
  return parsed.data;
}

const statuses: Partial<Record<ErrorBody['code'], number>> = {
  BAD_REQUEST: 400,
  NOT_ALLOWED: 403,
  NO_SUCH_DATASET: 404,
  NO_SUCH_SNAPSHOT: 404,
  NO_SUCH_JOB: 404,
  NO_SUCH_TRANSFER: 404,
  EXISTS: 409,
  DIVERGED: 409,
  MODIFIED: 409,
  OTHER_MACHINE: 409,
  LOCKED: 423,
  UNSUPPORTED: 501,
  BUSY: 503,
  TIMEOUT: 504,
  NO_SPACE: 507,
  READ_ONLY: 409,
};

/** `Nats-Service-Error-Code` is a number (ADR-32); these follow the status codes of HTTP. */
export const statusOf = (error: ErrorBody): string => String(statuses[error.code] ?? 500);

/** An error as one line, for the value of a header. */
export const headline = (error: ErrorBody): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a header may not contain control characters
  `${error.code}: ${error.message}`.replace(/[\x00-\x1f\x7f]+/g, ' ').slice(0, 512);
