import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';

/** A source that only pings must not keep other sources out of the dataset. */
export const notStarted = ({ sourceHost, to }: ReceiveStart, ms: number): ErrorBody =>
  new ZpsendError(
    'TIMEOUT',
    `${sourceHost} asked for a receive of ${to.name} and did not start its stream within ${Math.round(ms / 1000)} s`,
  ).toBody();

/** A compressed stream that cannot be decoded. */
export const damaged = ({ sourceHost, to }: ReceiveStart, why: string): ErrorBody =>
  new ZpsendError(
    'STREAM_BROKEN',
    `the compressed stream of ${to.name} from ${sourceHost} cannot be read: ${why}`,
  ).toBody();

/** Of a receive that failed without an error. */
export const unexplained: ErrorBody = {
  code: 'INTERNAL',
  message: 'the receive ended without a reason',
  retryable: false,
};
