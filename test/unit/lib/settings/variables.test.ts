import { expect, test } from 'vitest';
import { misspeltVariables } from '../../../../lib/settings/variables.ts';
import { configSchema } from '../../../../schemas/config.ts';
import { variableOfKey } from '../../../../schemas/environment.ts';
import { keyPaths } from '../../../../schemas/schema-keys.ts';

test('each variable sets a key of the schema; those of NATS also set parts of an identity that no file has', () => {
  const keys = keyPaths(configSchema).map((path) => path.join('.'));
  const missing = [...variableOfKey.keys()].filter((key) => !keys.includes(key));
  expect(missing).toEqual(['nats.jwt', 'nats.seed']);
});

test.each<[string, string[]]>([
  ['ZPSEND_PARALEL', ['ZPSEND_PARALLEL']],
  ['zpsend_parallel', ['ZPSEND_PARALLEL']],
  ['ZPSEND_CONIFG', ['ZPSEND_CONFIG']],
  ['NATS_CRED', ['NATS_CREDS']],
])('%s is misspelt', (name, meant) => {
  expect(misspeltVariables({ [name]: '1' })).toEqual([{ name, meant }]);
});

test.each(['ZPSEND_PARALLEL', 'NATS_URL', 'ZPSEND_TEST_BUNDLE', 'NATS_SERVER_BIN', 'PATH'])('%s is not', (name) => {
  expect(misspeltVariables({ [name]: '1' })).toEqual([]);
});
