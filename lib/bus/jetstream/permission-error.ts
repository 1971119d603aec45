import { PermissionViolationError, RequestError } from '@nats-io/transport-node';

/** Did the NATS server refuse a request, since this user may not make it? Then it will again, until the connection is a new one. */
export const isPermissionError = (error: unknown): boolean =>
  error instanceof PermissionViolationError ||
  (error instanceof RequestError && error.cause instanceof PermissionViolationError);
