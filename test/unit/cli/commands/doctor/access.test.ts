import { expect, test } from 'vitest';
import { noNats } from '../../../../../cli/commands/doctor/access.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { mentions } from '../../../../support/mentions.ts';

test.each([
  [new ZpsendError('NOT_ALLOWED', 'no connection', { reason: 'login-refused' }), ['NATS_*']],
  [new ZpsendError('UNREACHABLE', 'no connection', { reason: 'tls' }), ['NATS_*', 'CA']],
  [new ZpsendError('UNREACHABLE', 'no connection', { reason: 'no-server' }), ['nats-server -js']],
])('doctor has a remedy for a failed connection: $reason', (error, facts) => {
  expect(noNats(error)).toMatchObject({ result: 'bad', found: 'no connection', remedy: mentions(...facts) });
});
