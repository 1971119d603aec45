import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';

/** A source that only pings would keep others out of the dataset for as long as it likes. */
export const notBegun = ({ source, to }: ReceiveStart, ms: number): ErrorBody =>
  new ZpsendError(
    'TIMEOUT',
    `${source} asked for a receive of ${to.name} and did not begin its stream within ${Math.round(ms / 1000)} s`,
  ).toBody();

/** A stream that was compressed on its way. */
export const damaged = ({ source, to }: ReceiveStart, why: string): ErrorBody =>
  new ZpsendError(
    'STREAM_BROKEN',
    `the compressed stream of ${to.name} from ${source} cannot be read: ${why}`,
  ).toBody();

/** What a failed receive is told with that never said why. */
export const unexplained: ErrorBody = {
  code: 'INTERNAL',
  message: 'the receive ended without a reason',
  retryable: false,
};
