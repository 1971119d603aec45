import { expect, test } from 'vitest';
import { noNats } from '../../../../../cli/commands/doctor/access.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { mentions } from '../../../../support/mentions.ts';

test.each([
  ['refused', ['NATS_*']],
  ['tls', ['NATS_*', 'CA']],
  ['none', ['nats-server -js']],
])('doctor says where to mend a connection that fails as %s', (connection, facts) => {
  const check = noNats(new ZpsendError('UNREACHABLE', 'no connection', { connection }));
  expect(check).toMatchObject({ result: 'bad', found: 'no connection', remedy: mentions(...facts) });
});
