import { expect, test } from 'vitest';
import { noNats } from '../../cli/doctor/access.ts';
import { ZpsendError } from '../../schemas/errors.ts';

test.each([
  ['refused', /^mend the user or the key, here \(NATS_\*, .* nats context: .*\) or in the accounts of that server; /],
  ['tls', /^mend the address, the CA or the certificate \(NATS_\*, /],
  ['none', /^start nats-server -js, or mend the address; /],
])('doctor says where to mend a connection that fails as %s', (connection, mend) => {
  const check = noNats(new ZpsendError('UNREACHABLE', 'no connection', { connection }));
  expect(check).toMatchObject({ result: 'bad', found: 'no connection', mend: expect.stringMatching(mend) });
});
